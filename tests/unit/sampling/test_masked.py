"""Masked decoding: schedule, choice of what is drawn again, engine."""

import math
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor

from tessera.errors import UserError
from tessera.models.maskgit import MaskGIT, MaskGITConfig
from tessera.sampling.masked import (
    gumbel,
    hidden_counts,
    hide_least_confident,
    noise_shape,
    places_of,
    sample_masked,
)
from tessera.sampling.noise import uniforms
from tessera.sampling.prepared import prepared

L, K, P, S = 9, 11, 5, 4


@pytest.fixture
def model() -> MaskGIT:
    torch.manual_seed(1)
    config = MaskGITConfig(
        vocabulary=K, length=L, prefix_vocabulary=7, prefix_length=P, width=16, layers=2,
        heads=4, ffn=32, norm="pre", max_positions=10,
    )  # fmt: skip
    model = MaskGIT(config).eval()
    with torch.no_grad():
        model.output.weight.mul_(3)
        model.output.weight[:5] *= 3  # special symbols that would often win
    return model


@pytest.fixture
def prefix() -> Tensor:
    torch.manual_seed(2)
    return torch.randint(7, (8, P))


def test_schedule_of_the_published_model() -> None:
    """DiGIT's counts for 256 codes in 8 steps."""
    assert hidden_counts(256, 8) == [251, 236, 212, 181, 142, 97, 49, 0]


@pytest.mark.parametrize(("length", "steps"), [(16, 8), (16, 1), (5, 12), (1, 3), (1024, 30)])
def test_schedule_of_any_size(length: int, steps: int) -> None:
    """It falls strictly while it can, stays between 1 and L, and ends at 0."""
    counts = hidden_counts(length, steps)
    assert len(counts) == steps
    assert counts[-1] == 0
    for before, after in zip([length, *counts], counts[:-1], strict=False):
        assert after < before or after == before == 1
        assert 1 <= after <= length


def test_gumbel_numbers_have_their_distribution() -> None:
    """Kolmogorov-Smirnov against the closed form."""
    numbers = gumbel(uniforms(0, "g", range(50), (100,)))
    assert stats.kstest(numbers.flatten().numpy(), "gumbel_r").pvalue > 0.01


def test_the_least_confident_are_hidden() -> None:
    """Against sorting, among the hidden ones only."""
    torch.manual_seed(0)
    log_probs, noise = torch.randn(6, L), torch.randn(6, L)
    hidden = torch.rand(6, L) < 0.7
    count = int(hidden.sum(1).min())
    result = hide_least_confident(log_probs, hidden, noise, count)
    for b in range(6):
        order = sorted(
            (t for t in range(L) if hidden[b, t]),
            key=lambda t: float(log_probs[b, t] + noise[b, t]),
        )
        assert set(result[b].nonzero().flatten().tolist()) == set(order[:count])


def test_ties_hide_no_more_than_asked() -> None:
    """Codes that are all certain are still hidden in the scheduled number."""
    hidden = torch.tensor([[True, True, False, True, True]])
    result = hide_least_confident(torch.zeros(1, 5), hidden, 0.0, 2)
    assert int(result.sum()) == 2
    assert not result[0, 2]


def slow(
    model: MaskGIT, u: Tensor, prefix: Tensor, temperature: float, choice: float
) -> tuple[Tensor, list[list[int]]]:
    """Masked decoding one image and one position at a time."""
    images, left = [], []
    for b in range(len(u)):
        codes, hidden, row = [0] * L, set(range(L)), []
        for s in range(S):
            mask = torch.tensor([[t in hidden for t in range(L)]])
            with torch.no_grad():
                logits = model.logits(torch.tensor([codes]), mask, prefix=prefix[b : b + 1])[0]
            confidence = {}
            for t in hidden:
                p = logits[t, 5:].double().softmax(0)
                if temperature == 0:
                    codes[t] = int(p.argmax())
                else:
                    cumulative = (logits[t, 5:].double() / temperature).softmax(0).cumsum(0)
                    codes[t] = int((cumulative < u[b, s, 0, t]).sum())
                noise = -math.log(-math.log(u[b, s, 1, t]))
                confidence[t] = math.log(p[codes[t]]) + choice * (1 - (s + 1) / S) * noise
            n = max(1, min(len(hidden) - 1, int(L * math.cos(math.pi * (s + 1) / S / 2))))
            hidden = set(sorted(hidden, key=confidence.__getitem__)[:n]) if s < S - 1 else set()
            row.append(len(hidden))
        images.append(codes)
        left.append(row)
    return torch.tensor(images), left


@pytest.mark.parametrize(
    ("temperature", "choice"), [(1.0, 4.5), (0.0, 0.0), (0.7, 1.0), (1.0, 0.0)]
)
def test_equals_the_slow_loop(
    model: MaskGIT, prefix: Tensor, temperature: float, choice: float
) -> None:
    """Draws, confidence and schedule equal a loop over images and positions."""
    u = uniforms(0, "m", range(8), noise_shape(L, S))
    codes = sample_masked(
        model, u, prefix=prefix, steps=S, temperature=temperature, choice_temperature=choice
    )
    expected, left = slow(model, u, prefix, temperature, choice)
    assert torch.equal(codes, expected)
    assert left == [hidden_counts(L, S)] * 8


@pytest.mark.parametrize("rows", [1, 7, 4096])
def test_logits_in_pieces_change_nothing(
    model: MaskGIT, prefix: Tensor, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few positions have their logits at once."""
    u = uniforms(0, "m", range(8), noise_shape(L, S))
    expected, _ = slow(model, u, prefix, 1.0, 4.5)
    monkeypatch.setattr("tessera.sampling.masked.ROWS", rows)
    assert torch.equal(sample_masked(model, u, prefix=prefix, steps=S), expected)


def test_places_are_those_of_what_is_hidden() -> None:
    """Ascending in each row."""
    hidden = torch.tensor([[False, True, True, False, True], [True, True, False, False, True]])
    assert places_of(hidden, 3).tolist() == [[1, 2, 4], [0, 1, 4]]


@pytest.mark.parametrize("steps", [1, 3, 20])
def test_every_code_is_valid(model: MaskGIT, prefix: Tensor, steps: int) -> None:
    """For any number of steps no special symbol and no mask is left."""
    u = uniforms(0, "m", range(8), noise_shape(L, steps))
    codes = sample_masked(model, u, prefix=prefix, steps=steps)
    assert codes.shape == (8, L)
    assert 0 <= codes.min() <= codes.max() < K


def test_a_sample_does_not_depend_on_the_batch(model: MaskGIT, prefix: Tensor) -> None:
    """Batches of 1, 3 and 8 give the same eight images."""

    def run(size: int) -> Tensor:
        parts = [range(i, min(i + size, 8)) for i in range(0, 8, size)]
        return torch.cat([
            sample_masked(
                model, uniforms(3, "m", ids, noise_shape(L, S)),
                prefix=prefix[ids.start : ids.stop], steps=S,
            )
            for ids in parts
        ])  # fmt: skip

    whole = run(8)
    assert torch.equal(run(1), whole)
    assert torch.equal(run(3), whole)
    assert len(whole.unique(dim=0)) == 8


def test_a_prepared_model(model: MaskGIT, prefix: Tensor) -> None:
    """In float32 it draws the same codes; in bfloat16 nearly the same, all of them codes."""
    u = uniforms(0, "m", range(8), noise_shape(L, S))
    expected = sample_masked(model, u, prefix=prefix, steps=S)
    assert torch.equal(
        sample_masked(prepared(model, 1, torch.float32), u, prefix=prefix, steps=S), expected
    )
    found = sample_masked(prepared(model, 1, torch.bfloat16), u, prefix=prefix, steps=S)
    assert 0.5 < (found == expected).float().mean() < 1
    assert 0 <= found.min() <= found.max() < K


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"steps": S + 1}, r"need \[batch, 5, 2, 9\]"),
        ({"choice_temperature": -1.0}, "choice temperature"),
        ({"temperature": -1.0}, "temperature"),
        ({"prefix": None}, "built with a prefix"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    model: MaskGIT, prefix: Tensor, settings: dict[str, Any], words: str
) -> None:
    """Each raises a UserError that says what to change."""
    u = uniforms(0, "m", range(8), noise_shape(L, S))
    with pytest.raises(UserError, match=words):
        sample_masked(model, u, **({"prefix": prefix, "steps": S} | settings))
