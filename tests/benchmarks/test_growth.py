"""Fitted exponents, memory beside what was there, and the plot."""

import json
import math

import numpy as np
import pytest

from benchmarks import growth, growth_axes, harness
from tessera.models.vqgan import VQGANConfig

TINY = growth_axes.Sizes(
    model={"width": 16, "layers": 1, "heads": 2, "ffn": 32},
    tokens=(4, 8),
    drawn=(4, 8),
    batches=(1, 2),
    drawn_batches=(1, 2),
    length=4,
    batch=2,
    points=64,
    width=4,
    clusters=(2, 4),
    images=(2, 4),
    painter=VQGANConfig(resolution=8, channels=4, multipliers=(1, 1), code_width=4, norm_groups=2),
)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
def test_powers_have_their_exponent(power):
    """Whatever their factor."""
    sizes = [32, 64, 200, 1024]
    assert growth.exponent(sizes, [7 * x**power for x in sizes]) == pytest.approx(power, abs=1e-12)


def test_the_exponent_is_that_of_least_squares():
    """log2 values 0, 0, 3 over log2 sizes 0, 1, 2: the slope of the line of best fit is 1.5."""
    assert growth.exponent([1, 2, 4], [1, 1, 8]) == pytest.approx(1.5)


def test_memory_counts_beside_what_was_there():
    """100 MB of a work, with 50 MB that lie there before."""
    there = np.ones(50 * 2**17)
    grown = growth.growth(lambda: np.ones(100 * 2**17).sum() + there[0], "cpu")
    assert 0.9 * 100 * 2**20 < grown < 1.3 * 100 * 2**20


def test_operations_of_a_transformer():
    """Products with weights grow with the tokens, those of attention with their square."""
    (over_tokens, *_) = growth_axes.axes(TINY, "cpu")
    block = 4 * 16**2 + 2 * 16 * 32
    for length in (4, 8):
        weights = 2 * length * (block + 16 * growth_axes.VOCABULARY)
        assert over_tokens.operations(length) == weights + 4 * length**2 * 16


def test_every_axis_is_measured(monkeypatch, tmp_path):
    """At tiny sizes: time and memory of each, and a picture of the points."""
    monkeypatch.setattr(growth, "PROCESSOR", TINY)
    monkeypatch.setattr(growth, "REPEATS", 1)
    report = json.loads(harness.as_text(growth.measure("cpu", False).as_json("cpu")))
    names = [figure["name"] for figure in report["figures"]]
    axes = [axis.name for axis in growth_axes.axes(TINY, "cpu")]
    assert names == [f"{axis}: {what}" for axis in axes for what in ("time", "memory")]
    assert all(math.isfinite(figure["ratio"]) for figure in report["figures"])
    points = report["sizes"]["points"]
    assert list(points) == axes
    assert all(min(one["seconds"]) > 0 for one in points.values())
    growth.plot(points, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")
