"""The cached engine against a slow loop without a cache."""

from typing import Any

import pytest
import torch
from tests import tiny_gpt
from tests.tiny_gpt import K, L, inputs
from torch import Tensor

from tessera.errors import UserError
from tessera.models.gpt import GPT, GPTConfig
from tessera.sampling.autoregressive import sample_autoregressive
from tessera.sampling.filters import pick
from tessera.sampling.noise import uniforms


def build(kind: str) -> GPT:
    """One whose end symbol would often win."""
    model = tiny_gpt.build(kind)
    with torch.no_grad():
        model.output.weight[2] *= 5
    return model


def slow(model: GPT, u: Tensor, extra: dict[str, Tensor], **filters: Any) -> Tensor:
    """One full pass for each code."""
    codes = torch.zeros(u.shape, dtype=torch.long)
    for t in range(L):
        codes[:, t] = pick(model.logits(codes, **extra)[:, t], u[:, t], **filters)
    return codes


@pytest.mark.parametrize("kind", ["plain", "classes", "prefix"])
@pytest.mark.parametrize(
    "filters",
    [{}, {"temperature": 0.0}, {"top_k": 3}, {"top_p": 0.6, "temperature": 1.2}, {"top_k": 99}],
)
def test_equals_the_slow_loop(kind: str, filters: dict[str, Any]) -> None:
    """Greedy, free and filtered samples are those of full passes."""
    model, extra, u = build(kind), inputs(kind, 8), uniforms(0, "t", range(8), (L,))
    codes = sample_autoregressive(model, u, **extra, **filters)
    assert torch.equal(codes, slow(model, u, extra, **filters))
    assert codes.dtype == torch.long
    assert 0 <= codes.min() <= codes.max() < K


@pytest.mark.parametrize("kind", ["plain", "classes", "prefix"])
def test_a_sample_does_not_depend_on_the_batch(kind: str) -> None:
    """Batches of 1, 3 and 8 give the same eight images."""
    model, extra = build(kind), inputs(kind, 8)

    def run(size: int) -> Tensor:
        parts = [range(i, min(i + size, 8)) for i in range(0, 8, size)]
        return torch.cat([
            sample_autoregressive(
                model, uniforms(3, "t", ids, (L,)), top_k=5,
                **{name: value[ids.start : ids.stop] for name, value in extra.items()},
            )
            for ids in parts
        ])  # fmt: skip

    whole = run(8)
    assert torch.equal(run(1), whole)
    assert torch.equal(run(3), whole)
    assert len(whole.unique(dim=0)) > 4


def test_first_code_follows_the_models_distribution() -> None:
    """Frequencies over 20,000 images agree with the first logits, within four deviations."""
    model, n = build("plain"), 20_000
    codes = sample_autoregressive(model, uniforms(0, "t", range(n), (L,)))
    with torch.no_grad():
        p = model.logits(torch.zeros(1, L, dtype=torch.long))[0, 0, 5:].softmax(0)
    deviation = (p * (1 - p) / n).sqrt()
    assert ((codes[:, 0].bincount(minlength=K) / n - p).abs() < 4 * deviation).all()


def test_samples_can_be_trained_on() -> None:
    """The result is a normal tensor, not one of inference mode."""
    model = build("plain")
    codes = sample_autoregressive(model, uniforms(0, "t", range(2), (L,)))
    model.loss(codes).backward()
    assert model.tokens.weight.grad is not None


def test_a_single_code_an_image() -> None:
    """Length 1 needs no decoding step."""
    config = GPTConfig(
        vocabulary=K, length=1, width=8, layers=1, heads=1, ffn=8, norm="post", max_positions=2
    )
    codes = sample_autoregressive(GPT(config).eval(), uniforms(0, "t", range(3), (1,)))
    assert codes.shape == (3, 1)


def test_errors() -> None:
    """Wrong shapes, meaningless filters, missing labels and training mode are refused."""
    u = uniforms(0, "t", range(2), (L,))
    model = build("classes")
    with pytest.raises(UserError, match=r"need \[batch, 6\]"):
        sample_autoregressive(model, u[:, :-1], torch.zeros(2, dtype=torch.long))
    with pytest.raises(UserError, match="need"):
        sample_autoregressive(model, u[:0], torch.zeros(0, dtype=torch.long))
    with pytest.raises(UserError, match="top_k"):
        sample_autoregressive(model, u, torch.zeros(2, dtype=torch.long), top_k=0)
    with pytest.raises(UserError, match="class labels"):
        sample_autoregressive(model, u)
    with pytest.raises(ValueError, match="eval"):
        sample_autoregressive(model.train(), u, torch.zeros(2, dtype=torch.long))


def test_under_autocast_the_cache_has_the_lower_precision() -> None:
    """bfloat16 autocast samples without an error, valid codes only."""
    model = build("prefix")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        codes = sample_autoregressive(
            model, uniforms(0, "t", range(4), (L,)), top_p=0.8, **inputs("prefix", 4)
        )
    assert 0 <= codes.min() <= codes.max() < K
