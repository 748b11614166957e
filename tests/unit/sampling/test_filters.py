"""Filters and draws against brute force over small vocabularies."""

import math

import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.nn import functional as F

from tessera.errors import UserError
from tessera.sampling.filters import (
    check_filters,
    code_log_probs,
    draw,
    draw_top_k,
    keep,
    keep_top_k,
    keep_top_p,
    pick,
)


def kept(log_probs: Tensor) -> list[list[int]]:
    return [row.isfinite().nonzero().flatten().tolist() for row in log_probs]


def oracle_top_p(probs: list[float], p: float) -> list[int]:
    """Take codes from the most probable on until the mass reaches p."""
    taken, mass = [], 0.0
    for code in sorted(range(len(probs)), key=lambda c: (-probs[c], c)):
        taken.append(code)
        mass += probs[code]
        if mass >= p:
            break
    return sorted(taken)


def test_specials_are_removed_after_the_softmax() -> None:
    """The mass of the codes is their share among all symbols, at the temperature."""
    logits = torch.tensor([[3.0, -1.0, 2.0, 0.0, 1.0, 0.5, 1.5, -0.5]])
    for temperature in (0.5, 1.0, 2.0):
        weights = [math.exp(x / temperature) for x in logits[0].tolist()]
        expected = torch.tensor([[w / sum(weights) for w in weights[5:]]])
        torch.testing.assert_close(code_log_probs(logits, temperature).exp(), expected)


def test_top_k_keeps_the_k_most_probable() -> None:
    """Random rows against sorting, for every k, and values unchanged."""
    torch.manual_seed(0)
    log_probs = torch.randn(8, 9)
    for k in range(1, 12):
        result = keep_top_k(log_probs, k)
        expected = [
            sorted(sorted(range(9), key=lambda c: -row[c])[:k]) for row in log_probs.tolist()
        ]
        assert kept(result) == expected
        assert torch.equal(result[result.isfinite()], log_probs[result.isfinite()])


def test_top_k_with_ties_keeps_exactly_k() -> None:
    """Of equal codes at the border some are dropped, those above it never."""
    log_probs = torch.tensor([[0.0, 1.0, 0.0, 0.0, 2.0], [1.0, 1.0, 1.0, 1.0, 1.0]])
    first, second = kept(keep_top_k(log_probs, 3))
    assert len(first) == len(second) == 3
    assert {1, 4} < set(first)


def test_top_p_against_brute_force() -> None:
    """Random rows whose mass is below 1, as it is after removing the specials."""
    torch.manual_seed(0)
    probs = torch.rand(50, 9, dtype=torch.float64)
    probs = probs / probs.sum(1, keepdim=True) * torch.linspace(0.3, 1, 50).double()[:, None]
    for p in (0.05, 0.3, 0.8, 0.999):
        assert kept(keep_top_p(probs.log(), p)) == [oracle_top_p(row, p) for row in probs.tolist()]


def test_top_p_equals_a_sort_of_pairs() -> None:
    """Over many codes with many ties, for each p: the kept set and its values, bit by bit."""
    torch.manual_seed(0)
    log_probs = (torch.randn(200, 1024) * 2).round(decimals=1).log_softmax(-1)
    ordered, codes = log_probs.sort(dim=-1, descending=True, stable=True)
    mass = ordered.exp().double().cumsum(-1)
    for p in (0.01, 0.5, 0.8, 0.99):
        dropped = F.pad(mass[:, :-1] >= p, (1, 0))
        expected = log_probs.masked_fill(
            torch.zeros_like(dropped).scatter(1, codes, dropped), -math.inf
        )
        assert torch.equal(keep_top_p(log_probs, p), expected)


def test_top_p_keeps_the_item_that_crosses() -> None:
    """0.5 + 0.25 reaches 0.6 only with the second item, and 0.5 exactly with the first."""
    log_probs = torch.tensor([[0.25, 0.5, 0.125, 0.125]]).log()
    assert kept(keep_top_p(log_probs, 0.6)) == [[0, 1]]
    assert kept(keep_top_p(log_probs, 0.5)) == [[1]]
    assert kept(keep_top_p(log_probs, 1e-9)) == [[1]]


def test_top_p_with_ties_takes_lower_codes_first() -> None:
    """Four equal codes and p of a half: two are kept."""
    assert kept(keep_top_p(torch.full((1, 4), 0.25).log(), 0.5)) == [[0, 1]]


def test_top_p_that_is_never_reached_keeps_all() -> None:
    """Where the specials took too much mass, nothing is filtered; nor at p = 1."""
    log_probs = torch.tensor([[0.1, 0.3, 0.2]]).log()
    assert kept(keep_top_p(log_probs, 0.8)) == [[0, 1, 2]]
    assert torch.equal(keep_top_p(log_probs, 1.0), log_probs)


def test_top_p_wins_over_top_k() -> None:
    """With both set, only top-p acts; with neither, nothing does."""
    log_probs = torch.randn(4, 9).log_softmax(-1)
    assert torch.equal(keep(log_probs, 1, 0.9), keep_top_p(log_probs, 0.9))
    assert torch.equal(keep(log_probs, 2, None), keep_top_k(log_probs, 2))
    assert torch.equal(keep(log_probs, None, None), log_probs)


def test_draw_inverts_the_cumulative_distribution() -> None:
    """Masses 1, 0, 2, 1 of 4: the borders lie at 1/4 and 3/4, and code 1 never comes."""
    log_probs = torch.tensor([1.0, 0.0, 2.0, 1.0]).log()
    u = torch.tensor([1e-12, 0.2499, 0.2501, 0.5, 0.7499, 0.7501, 1 - 1e-12], dtype=torch.float64)
    drawn = draw(log_probs.expand(7, 4), u)
    assert drawn.tolist() == [0, 0, 2, 2, 2, 3, 3]


def test_draws_equal_those_from_sums_of_floats() -> None:
    """Of 20,000 rows of 1,024 codes, where only a border closer than 1e-13 could differ."""
    torch.manual_seed(0)
    log_probs = torch.randn(20_000, 1024).mul(3).log_softmax(-1)
    u = torch.rand(20_000, dtype=torch.float64)
    weights = (log_probs - log_probs.amax(1, keepdim=True)).exp()
    cumulative = weights.double().cumsum(-1)
    expected = torch.searchsorted(cumulative, u[:, None] * cumulative[:, -1:]).squeeze(1)
    assert torch.equal(draw(log_probs, u), expected)


def test_a_draw_over_the_largest_vocabulary_does_not_overflow() -> None:
    """65,536 equal codes: the number of the code is the uniform's share of them."""
    u = torch.tensor([1e-9, 0.5, 1 - 1e-9], dtype=torch.float64)
    assert draw(torch.zeros(3, 65_536), u).tolist() == [0, 32_767, 65_535]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("top_k", "top_p"), [(None, None), (30, None), (None, 0.8)])
def test_draws_on_a_gpu_are_reproducible(top_k: int | None, top_p: float | None) -> None:
    """torch, told to refuse what is not, refuses nothing; and the codes are the processor's."""
    torch.manual_seed(0)
    log_probs, u = torch.randn(500, 1024).mul(3), torch.rand(500, dtype=torch.float64)
    expected = pick(log_probs, u, 1.0, top_k, top_p)
    before = torch.get_deterministic_debug_mode()
    try:
        torch.set_deterministic_debug_mode("error")
        drawn = pick(log_probs.cuda(), u.cuda(), 1.0, top_k, top_p).cpu()
    finally:
        torch.set_deterministic_debug_mode(before)
    assert (drawn == expected).float().mean() > 0.99  # logarithms may be rounded otherwise


def test_draw_never_returns_a_dropped_code() -> None:
    """Extreme uniforms, in both precisions, with dropped codes at both ends."""
    log_probs = torch.tensor([[-math.inf, 0.0, -math.inf, 1.0, -math.inf]])
    for dtype in (torch.float32, torch.float64):
        tiny, one = torch.finfo(dtype).tiny, 1 - torch.finfo(dtype).eps / 2
        drawn = [int(draw(log_probs, torch.tensor([u], dtype=dtype))) for u in (tiny, 0.1, one)]
        assert drawn == [1, 1, 3]


def test_draw_where_specials_have_nearly_all_mass() -> None:
    """Log-probabilities far below zero are drawn by their ratios and do not underflow."""
    log_probs = torch.tensor([[-500.0, -500.0 + math.log(3)]])
    assert int(draw(log_probs, torch.tensor([0.24]))) == 0
    assert int(draw(log_probs, torch.tensor([0.26]))) == 1


@pytest.mark.parametrize("k", [1, 3, 39, 40, 99])
def test_top_k_draws_what_the_filter_and_the_draw_do(k: int) -> None:
    """Bit by bit, over codes with ties, in rows of any length."""
    torch.manual_seed(0)
    for codes in (40, 257, 1024):
        log_probs = (torch.randn(500, codes) * 2).round(decimals=1).log_softmax(-1)
        u = torch.rand(500, dtype=torch.float64)
        assert torch.equal(draw_top_k(log_probs, u, k), draw(keep_top_k(log_probs, k), u))


@pytest.mark.parametrize("leading", [(), (2,), (2, 3)])
def test_leading_dimensions(leading: tuple[int, ...]) -> None:
    """Any leading shape gives what its rows give one by one."""
    torch.manual_seed(0)
    logits, u = torch.randn(*leading, 13), torch.rand(leading, dtype=torch.float64)
    drawn = pick(logits, u, 0.9, 4)
    rows = [pick(x, v, 0.9, 4) for x, v in zip(logits.reshape(-1, 13), u.reshape(-1), strict=True)]
    assert drawn.shape == leading
    assert torch.equal(drawn.reshape(-1), torch.stack(rows))


@pytest.mark.parametrize(("top_k", "top_p"), [(None, None), (3, None), (None, 0.5)])
def test_draws_follow_the_filtered_distribution(top_k: int | None, top_p: float | None) -> None:
    """Chi-square of 40,000 draws against probabilities computed by hand."""
    torch.manual_seed(3)
    logits = torch.randn(12)
    weights = (logits / 0.8).exp()
    probs = (weights / weights.sum())[5:].tolist()
    if top_k:
        allowed = sorted(range(7), key=lambda c: -probs[c])[:top_k]
    else:
        allowed = oracle_top_p(probs, top_p) if top_p else list(range(7))
    u = torch.rand(40_000, dtype=torch.float64)
    counts = pick(logits.expand(40_000, 12), u, 0.8, top_k, top_p).bincount(minlength=7)
    total = sum(probs[c] for c in allowed)
    expected = [40_000 * probs[c] / total for c in allowed]
    assert int(counts.sum()) == sum(int(counts[c]) for c in allowed) == 40_000
    assert stats.chisquare([int(counts[c]) for c in allowed], expected).pvalue > 0.01


def test_temperature_zero_is_greedy_and_the_limit_of_small_ones() -> None:
    """The most probable code, never a special symbol, and the same at 1e-3."""
    torch.manual_seed(0)
    logits = torch.randn(50, 12)
    logits[:, 2] = 9.0  # the end symbol would win
    expected = logits[:, 5:].argmax(1)
    u = torch.rand(50, dtype=torch.float64)
    assert torch.equal(pick(logits, u, 0.0), expected)
    margin = logits[:, 5:].topk(2).values.diff().abs().min()
    assert margin > 0.015  # so that at 1e-3 the runner-up has less than exp(-15)
    assert torch.equal(pick(logits, u, 1e-3), expected)
    assert torch.equal(pick(logits, u, 1.0, top_k=1), expected)
    assert torch.equal(pick(logits, u, 1e-30), expected)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ((-1.0, None, None), "temperature"),
        ((math.nan, None, None), "temperature"),
        ((math.inf, None, None), "temperature"),
        ((1.0, 0, None), "top_k"),
        ((1.0, None, 0.0), "top_p"),
        ((1.0, None, 1.5), "top_p"),
    ],
)
def test_settings_without_meaning_are_refused(
    settings: tuple[float, int | None, float | None], words: str
) -> None:
    """Each raises a UserError that names the setting."""
    with pytest.raises(UserError, match=words):
        check_filters(*settings)


def test_settings_with_meaning_pass() -> None:
    """Greedy, a k above any vocabulary, and p of 1 are fine."""
    check_filters(0.0, 10**9, 1.0)
