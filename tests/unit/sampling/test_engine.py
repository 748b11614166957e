"""The engine against the plain loop, batch after batch."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from tests import tiny_gpt
from tests.tiny_gpt import KINDS, L, P, inputs
from torch import Tensor

from tessera.errors import UserError
from tessera.models.gpt import GPT
from tessera.sampling import engine, replay
from tessera.sampling.autoregressive import sample_autoregressive
from tessera.sampling.engine import Engine
from tessera.sampling.noise import uniforms

WIDTH = 32


def build(kind: str) -> GPT:
    return tiny_gpt.build(kind, WIDTH)


def in_batches(made: Engine, ids: range, extra: dict[str, Tensor], size: int) -> Tensor:
    """Codes of all images, a batch after the other, the last one smaller."""
    drawn = []
    for start in range(0, len(ids), size):
        some = slice(start, start + size)
        more = {name: value[some] for name, value in extra.items()}
        drawn.append(made(uniforms(0, "t", ids[some], (L,)), **more))
    return torch.cat(drawn)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "filters", [{}, {"temperature": 0.0}, {"top_k": 3}, {"top_p": 0.6, "temperature": 1.2}]
)
def test_equals_the_plain_loop(kind: str, filters: dict[str, Any]) -> None:
    """Batches of 4, 4 and 3 have the codes of one of 11."""
    model, extra, ids = build(kind), inputs(kind, 11), range(11)
    expected = sample_autoregressive(model, uniforms(0, "t", ids, (L,)), **extra, **filters)
    drawn = in_batches(Engine(model, 4, **filters), ids, extra, 4)
    assert torch.equal(drawn, expected)
    assert drawn.dtype == torch.long
    assert drawn.is_contiguous()
    assert len(expected.unique(dim=0)) > 2 or filters == {"temperature": 0.0}


def test_prefixes_are_fed_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven prefixes with their start symbols, two at a time, give the same codes."""
    monkeypatch.setitem(engine.PREFILL_TOKENS, "cpu", 2 * (P + 1))
    model, extra = build("prefix"), inputs("prefix", 7)
    u = uniforms(0, "t", range(7), (L,))
    expected = sample_autoregressive(model, u, **extra)
    assert torch.equal(Engine(model, 7)(u, **extra), expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("precision", "error"), [("float32", 1e-5), ("bfloat16", 0.1)])
def test_logits_of_every_step(
    kind: str, precision: engine.Precision, error: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a full pass over what was drawn, whose spread is about 3; float32 in any case."""
    seen: list[Tensor] = []

    def watched(logits: Tensor, *arguments: Any) -> Tensor:
        seen.append(logits)
        return pick(logits, *arguments)

    pick = engine.pick
    monkeypatch.setattr(engine, "pick", watched)
    model, extra = build(kind), inputs(kind, 8)
    codes = Engine(model, 8, precision=precision)(uniforms(0, "t", range(8), (L,)), **extra)
    with torch.no_grad():
        expected = model.logits(codes, **extra)[:, :-1]
    assert {logits.dtype for logits in seen} == {torch.float32}
    torch.testing.assert_close(torch.stack(seen, 1), expected, atol=error, rtol=0)


def test_engines_that_take_turns_share_memory() -> None:
    """Two models with other cache sizes, in one block that was filled with rubbish."""
    first, second, u = build("plain"), build("prefix"), uniforms(0, "t", range(4), (L,))
    memory = torch.full((max(first.cache_size(4), second.cache_size(4)),), torch.nan)
    engines = [Engine(model, 4, memory=memory) for model in (first, second)]
    for _ in range(2):
        tokens = engines[0](u)
        assert torch.equal(tokens, sample_autoregressive(first, u))
        prefix = tokens[:, :P] % 7
        assert torch.equal(
            engines[1](u, prefix=prefix), sample_autoregressive(second, u, None, prefix)
        )
    stored = [sum(layer.both.numel() for layer in made.cache.layers) for made in engines]
    assert stored == [first.cache_size(4), second.cache_size(4)]


def test_the_model_stays_as_it_was() -> None:
    """Its weights keep their values and their precision."""
    model = build("prefix")
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    Engine(model, 3, precision="bfloat16")(uniforms(0, "t", range(3), (L,)), **inputs("prefix", 3))
    after = model.state_dict()
    assert before.keys() == after.keys()
    for name, weight in before.items():
        assert after[name].dtype == torch.float32
        assert torch.equal(after[name], weight)


@pytest.mark.parametrize("works", [True, False])
def test_steps_are_recorded_once_and_then_replayed(
    works: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the second batch; where that fails the steps run one by one, to the same codes."""
    calls: list[Sequence[int]] = []
    replays = 0

    def record(step: replay.Step, positions: Sequence[int]) -> Callable[[], None] | None:
        def again() -> None:
            nonlocal replays
            replays += 1
            for position in positions:
                step(position)

        calls.append(positions)
        return again if works else None

    model, extra = build("classes"), inputs("classes", 11)
    expected = sample_autoregressive(model, uniforms(0, "t", range(11), (L,)), **extra)
    made = Engine(model, 4)
    monkeypatch.setattr(engine, "record", record)
    monkeypatch.setattr(made, "device", torch.device("cuda"))
    assert torch.equal(in_batches(made, range(11), extra, 4), expected)
    assert calls == [range(1, L)]
    assert replays == (2 if works else 0)


def test_what_cannot_be_recorded_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning, and nothing to replay."""

    def refuse() -> None:
        raise RuntimeError("no stream")

    monkeypatch.setattr(torch.cuda, "CUDAGraph", refuse)
    with caplog.at_level(logging.WARNING):
        assert replay.record(lambda position: None, range(40)) is None
    assert [record.getMessage() for record in caplog.records] == [
        "the decoding steps run one by one, they cannot be recorded: no stream"
    ]


def test_no_memory_is_no_reason_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user is to know that the batch is too large."""

    def refuse() -> None:
        raise torch.OutOfMemoryError("much")

    monkeypatch.setattr(torch.cuda, "CUDAGraph", refuse)
    with pytest.raises(torch.OutOfMemoryError):
        replay.record(lambda position: None, range(40))


def test_errors() -> None:
    """Too many images, wrong shapes, meaningless filters, missing labels and training mode."""
    model, u = build("classes"), uniforms(0, "t", range(3), (L,))
    labels = torch.zeros(3, dtype=torch.long)
    with pytest.raises(UserError, match="top_k"):
        Engine(model, 2, top_k=0)
    with pytest.raises(ValueError, match="3 images are more than the 2"):
        Engine(model, 2)(u, labels)
    with pytest.raises(UserError, match="need"):
        Engine(model, 3)(u[:, 1:], labels)
    with pytest.raises(UserError, match="class labels"):
        Engine(model, 3)(u)
    with pytest.raises(ValueError, match="eval"):
        Engine(model.train(), 3)(u, labels)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("filters", [{"temperature": 0.0}, {"top_k": 3}, {"top_p": 0.6}])
def test_replays_on_a_gpu(kind: str, filters: dict[str, Any]) -> None:
    """Three batches, of which two are replayed, have the codes of the plain loop."""
    model, extra = build(kind).cuda(), inputs(kind, 11, "cuda")
    expected = sample_autoregressive(model, uniforms(0, "t", range(11), (L,)), **extra, **filters)
    made = Engine(model, 4, **filters)
    assert torch.equal(in_batches(made, range(11), extra, 4), expected)
    assert made.replay is not None
