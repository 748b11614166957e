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


def axis() -> growth.Axis:
    """Five sizes, time and memory of which grow alike."""
    return growth_axes.Axis(
        name="a", unit="", points=(1, 2, 4, 8, 16), work=lambda n: lambda: None, operations=float,
        memory=(1.0, "why"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("megabytes", "power", "counted", "verdict"),
    [
        ((2, 4, 8, 16, 32), 1.0, 5, True),
        ((0, 0.5, 2, 8, 32), 2.0, 3, False),  # with 1 MiB for the small ones 1.2: reached
        ((0, 0, 0.5, 1, 64), 1.2, 1, None),
    ],
)
def test_memory_that_is_of_the_allocator_does_not_count(megabytes, power, counted, verdict):
    """And without three sizes there is no verdict."""
    timings = [harness.Timing((float(size),)) for size in axis().points]
    found = growth.Measured(timings, [int(2**20 * count) for count in megabytes])
    time, memory = growth.of_axis(axis(), found)
    assert time.reached
    assert memory.value == pytest.approx(power)
    assert memory.reached is verdict
    assert memory.note == f"{counted} of 5 sizes take more than 1 MiB"


def test_one_odd_measurement_of_memory_changes_nothing(monkeypatch):
    """The median of three counts, as with time; expensive works are measured once."""
    taken = iter([10, 10, 500] * 5)
    monkeypatch.setattr(growth, "growth", lambda work, device: next(taken))
    assert growth.over(axis(), "cpu").grown == [10] * 5
    monkeypatch.setattr(growth, "CHEAP", 0.0)
    taken = iter(range(5))
    assert growth.over(axis(), "cpu").grown == [0, 1, 2, 3, 4]


def test_memory_is_measured_without_glibc(monkeypatch):
    """Whose functions another library of C may not have."""
    monkeypatch.setattr(growth.ctypes, "CDLL", lambda name: object())
    assert growth.growth(lambda: np.ones(2**21).sum(), "cpu") > 2**23


def test_a_plot_needs_a_file(capsys):
    """Said as by any command line."""
    with pytest.raises(SystemExit):
        growth.run(["--plot"])
    assert "--plot: expected one argument" in capsys.readouterr().err


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
