"""Learning rates against their closed forms."""

import math
from itertools import pairwise

import pytest

from tessera.train.schedules import cosine, inverse_sqrt


class FairseqInverseSqrt:
    """The same schedule the way fairseq states it: a step and a decay factor, fixed beforehand."""

    def __init__(self, peak: float, warmup: int, initial: float) -> None:
        self.warmup, self.initial = warmup, initial
        self.lr_step = (peak - initial) / warmup
        self.decay_factor = peak * warmup**0.5

    def rate(self, update: int) -> float:
        if update < self.warmup:
            return self.initial + update * self.lr_step
        return self.decay_factor * update**-0.5


@pytest.mark.parametrize("step", [0, 1, 2, 99, 100, 101, 400, 10_000])
def test_inverse_sqrt_is_that_of_fairseq(step):
    """Before, at and after the end of the warm-up."""
    expected = FairseqInverseSqrt(3e-4, 100, 1e-7).rate(step)
    assert inverse_sqrt(step, 3e-4, 100, 1e-7) == pytest.approx(expected, rel=1e-12)


def test_inverse_sqrt_at_known_points():
    """The first update has the initial rate, the peak comes at W, half of it at 4 W."""
    assert inverse_sqrt(0, 3e-4, 6250) == 1e-7
    assert inverse_sqrt(6250, 3e-4, 6250) == 3e-4
    assert inverse_sqrt(25_000, 3e-4, 6250) == pytest.approx(1.5e-4)


def test_inverse_sqrt_without_warm_up():
    """It begins at the peak and decays at once."""
    rates = [inverse_sqrt(step, 1.0, 0) for step in range(4)]
    assert rates == pytest.approx([1, 1 / math.sqrt(2), 1 / math.sqrt(3), 0.5])


def test_cosine_at_known_points():
    """Linear up to the peak at W, the mean of peak and floor half-way, the floor at the end."""
    rates = {step: cosine(step, 1.0, 10, 110, 0.2, 0.1) for step in (0, 5, 10, 60, 110)}
    assert rates == pytest.approx({0: 0.1, 5: 0.55, 10: 1.0, 60: 0.6, 110: 0.2})


@pytest.mark.parametrize("step", range(0, 51, 7))
def test_cosine_as_a_squared_cosine(step):
    """(1 + cos 2x) / 2 = cos² x."""
    assert cosine(step, 0.4, 0, 50) == pytest.approx(0.4 * math.cos(math.pi * step / 100) ** 2)


def test_cosine_after_the_end():
    """It stays at the floor instead of rising again."""
    assert cosine(1000, 1.0, 10, 110, 0.2) == pytest.approx(0.2)


def test_a_run_of_warm_up_alone():
    """No division by zero where the warm-up takes all updates."""
    assert cosine(5, 1.0, 5, 5) == pytest.approx(1.0)


@pytest.mark.parametrize("schedule", [inverse_sqrt, lambda *a: cosine(*a, steps=500)])
def test_rises_then_falls(schedule):
    """Monotone on both sides of the peak, and never above it."""
    rates = [schedule(step, 1e-3, 50) for step in range(500)]
    assert max(rates) == rates[50] == 1e-3
    assert all(a < b for a, b in pairwise(rates[:51]))
    assert all(a > b for a, b in pairwise(rates[50:]))
