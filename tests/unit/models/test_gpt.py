"""The autoregressive model: causality, cache, loss, sizes, errors."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tessera.errors import UserError
from tessera.models.gpt import GPT, NUM_SPECIALS, SIZES, GPTConfig

B, L, K, P = 3, 6, 11, 5
KINDS = ["plain", "classes", "prefix", "both"]


def build(kind: str, norm: str = "post", **changes: Any) -> GPT:
    extra: dict[str, Any] = {}
    if kind in ("classes", "both"):
        extra |= {"classes": 4}
    if kind in ("prefix", "both"):
        extra |= {"prefix_vocabulary": 7, "prefix_length": P}
    sizes = {"vocabulary": K, "width": 16, "layers": 2, "heads": 4, "ffn": 32, "max_positions": 9}
    torch.manual_seed(1)
    config = GPTConfig(length=L, norm=norm, **(sizes | extra | changes))  # type: ignore[arg-type]
    return GPT(config).eval()


def inputs(kind: str) -> tuple[Tensor, dict[str, Tensor]]:
    torch.manual_seed(2)
    codes, extra = torch.randint(K, (B, L)), {}
    if kind in ("classes", "both"):
        extra["labels"] = torch.tensor([3, 0, 1])
    if kind in ("prefix", "both"):
        extra["prefix"] = torch.randint(7, (B, P))
    return codes, extra


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_cached_decoding_equals_teacher_forcing(kind: str, norm: str) -> None:
    """Prefill and single steps give the logits of one pass over the whole sequence."""
    model, (codes, extra) = build(kind, norm), inputs(kind)
    with torch.inference_mode():
        expected = model.logits(codes, **extra)[:, :L]
        cache = model.new_cache(B, torch.float32, torch.device("cpu"))
        steps = [model.prefill(cache, **extra)]
        steps += [model.decode(codes[:, t], t, cache) for t in range(L - 1)]
    torch.testing.assert_close(torch.stack(steps, 1), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_code_changes_only_the_logits_after_it(kind: str) -> None:
    """Position t of the output sees the codes before t, all of them, and nothing else."""
    model, (codes, extra) = build(kind), inputs(kind)
    before = model.logits(codes, **extra)
    for t in range(L):
        other = codes.clone()
        other[:, t] = (codes[:, t] + 1) % K
        changed = (model.logits(other, **extra) - before).abs().amax((0, 2))  # [L + 1]
        assert changed[: t + 1].max() == 0
        assert changed[t + 1 :].min() > 1e-4


def test_labels_and_prefix_are_seen_from_the_first_code_on() -> None:
    """Another label or another prefix code changes every logit row."""
    model, (codes, extra) = build("both"), inputs("both")
    before = model.logits(codes, **extra)
    other_label = model.logits(codes, (extra["labels"] + 1) % 4, extra["prefix"])
    prefix = extra["prefix"].clone()
    prefix[:, 0] = (prefix[:, 0] + 1) % 7
    other_prefix = model.logits(codes, extra["labels"], prefix)
    assert (other_label - before).abs().amax((0, 2)).min() > 1e-4
    assert (other_prefix - before).abs().amax((0, 2)).min() > 1e-4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_is_the_cross_entropy_of_codes_and_end(kind: str, smoothing: float) -> None:
    """L + 1 targets an image, the last one the end symbol 2, and nothing on the prefix."""
    model, (codes, extra) = build(kind), inputs(kind)
    logits = model.logits(codes, **extra)
    targets = torch.cat((codes + 5, torch.full((B, 1), 2)), 1)
    expected = F.cross_entropy(
        logits.reshape(-1, K + 5), targets.reshape(-1), label_smoothing=smoothing
    )
    actual = model.loss(codes, label_smoothing=smoothing, **extra)
    torch.testing.assert_close(actual, expected)
    torch.testing.assert_close(model(codes, label_smoothing=smoothing, **extra), expected)


def test_an_untrained_model_knows_about_nothing() -> None:
    """At the start the loss is near that of a guess, ln V plus half the logits' variance of 1."""
    torch.manual_seed(0)
    config = GPTConfig(
        vocabulary=1000, length=32, width=64, layers=2, heads=4, ffn=128, norm="pre",
        max_positions=33,
    )  # fmt: skip
    loss = GPT(config).eval().loss(torch.randint(1000, (16, 32)))
    assert float(loss.detach()) == pytest.approx(torch.tensor(1005.0).log().item() + 0.5, abs=0.15)


def test_hidden_states_are_means_over_all_positions() -> None:
    """Entry 0 is the mean embedding, the last one the mean of what the output layer reads."""
    model, (codes, _) = build("plain"), inputs("plain")
    states = model.hidden_states(codes)
    ids = torch.cat((torch.full((B, 1), 2), codes + 5), 1)
    embedding = 4.0 * model.tokens.weight[ids] + model.positions.weight[2 : 2 + L + 1]
    assert states.shape == (3, B, 16)
    torch.testing.assert_close(states[0], embedding.mean(1))
    # A linear output layer commutes with the mean, and post-norm has no norm in between.
    torch.testing.assert_close(model.output(states[-1]), model.logits(codes).mean(1))


@pytest.mark.parametrize(
    ("count", "size", "changes"),
    [
        (219_377_664, "base", {"vocabulary": 8192, "norm": "post"}),
        (220_401_664, "base", {"vocabulary": 8192, "norm": "post", "classes": 1000}),
        (214_144_000, "base", {"vocabulary": 1024, "norm": "pre", "prefix_vocabulary": 8192}),
        (204_699_648, "base", {"vocabulary": 1024, "norm": "pre"}),
        (731_879_424, "large", {"vocabulary": 16384, "norm": "post"}),
        (733_415_424, "large", {"vocabulary": 16384, "norm": "post", "classes": 1000}),
        (711_446_016, "large", {"vocabulary": 1024, "norm": "pre", "prefix_vocabulary": 16384}),
    ],
)
def test_parameter_counts_are_those_of_the_published_models(
    count: int, size: str, changes: dict[str, Any]
) -> None:
    """DiGIT's models, whose counts are known exactly."""
    if "prefix_vocabulary" in changes:
        changes = changes | {"prefix_length": 256}
    with torch.device("meta"):
        model = GPT(GPTConfig(length=256, max_positions=1024, **SIZES[size], **changes))
    assert sum(p.numel() for p in model.parameters()) == count


def test_initialisation_of_tables_and_output() -> None:
    """N(0, 1/width) with zero padding rows; the final norm is the identity at first."""
    model = build("prefix", "pre", width=64, vocabulary=2000, max_positions=500)
    for module in (model.tokens, model.positions, model.prefix_positions, model.output):
        assert float(module.weight.detach().std()) == pytest.approx(1 / 8, rel=0.03)
    for table in (model.tokens, model.positions, model.prefix_positions):
        assert not table.weight[1].any()
        assert table.weight[0].any()


def test_every_parameter_that_is_used_gets_a_gradient() -> None:
    """The loss reaches all tables and layers; the padding rows get none."""
    model, (codes, extra) = build("both", "pre"), inputs("both")
    model.loss(codes, **extra).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name
    assert not model.tokens.weight.grad[1].any()  # type: ignore[index]
    assert not model.positions.weight.grad[:2].any()  # type: ignore[index]


def test_dropout_comes_from_the_global_generator() -> None:
    """The same seed gives the same training loss, another seed another."""
    model, (codes, extra) = build("plain").train(), inputs("plain")
    losses = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        losses.append(float(model.loss(codes, **extra).detach()))
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize(
    ("kind", "change", "words"),
    [
        ("classes", {"labels": None}, "built with class labels"),
        ("prefix", {"prefix": None}, "built with a prefix"),
        ("plain", {"labels": torch.zeros(B, dtype=torch.long)}, "built without class labels"),
        ("plain", {"prefix": torch.zeros(B, P, dtype=torch.long)}, "built without a prefix"),
        ("classes", {"labels": torch.zeros(B + 1, dtype=torch.long)}, "shape of class labels"),
        ("prefix", {"prefix": torch.zeros(B, P - 1, dtype=torch.long)}, "shape of a prefix"),
        ("plain", {"codes": torch.zeros(B, L - 1, dtype=torch.long)}, "6 codes an image"),
        ("plain", {"codes": torch.zeros(0, L, dtype=torch.long)}, "empty"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(kind: str, change: dict[str, Any], words: str) -> None:
    """Missing, superfluous or misshapen inputs raise a UserError that says so."""
    codes, extra = inputs(kind)
    with pytest.raises(UserError, match=words):
        build(kind).logits(**({"codes": codes} | extra | change))


def test_prefill_refuses_a_missing_label() -> None:
    """Sampling checks what training checks."""
    model = build("classes")
    cache = model.new_cache(B, torch.float32, torch.device("cpu"))
    with pytest.raises(UserError, match="class labels"):
        model.prefill(cache)


def test_number_of_special_symbols() -> None:
    """The published vocabulary has five symbols before the codes."""
    assert NUM_SPECIALS == 5


def test_position_scale_enlarges_the_position_tables_alone() -> None:
    """The same draws, the tables of positions three times as large."""
    plain, large = build("prefix", "pre"), build("prefix", "pre", position_scale=3.0)
    for (name, one), two in zip(plain.named_parameters(), large.parameters(), strict=True):
        factor = 3.0 if "positions" in name else 1.0
        torch.testing.assert_close(two, factor * one)
