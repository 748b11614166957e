"""How time and memory grow with tokens, batch, clusters and images, with fitted exponents.

    python -m benchmarks.growth
    python -m benchmarks.growth --plot FILE

The latter measures nothing: it draws the points of this machine's last saved report as a PNG.
An exponent has a verdict from above alone: what grows more slowly than the theory says, such as
work that fixed costs hide, is not too expensive.
"""

import argparse
import contextlib
import ctypes
import gc
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression, median
from typing import Any

import torch

from benchmarks.growth_axes import GPU, PROCESSOR, Axis, Work, axes
from benchmarks.harness import (
    Figure,
    Report,
    Timing,
    machine_name,
    main,
    peak,
    reset_peak,
    time_side_by_side,
    wait,
)

SLACK = 0.3
"""How far a fitted exponent may lie above the theory's: rates differ from size to size."""

REPEATS = 3
CHEAP = 2.0
"""Seconds of a work up to which its memory is measured as often as its time."""
LEAST_BYTES = 2**20
"""Memory below this is that of the allocator, not of the work."""
LEAST_SIZES = 3
"""Of which the memory is that of the work: fewer say nothing of how it grows."""


@dataclass(frozen=True)
class Measured:
    """One axis: at each of its points the time, and the memory beside what was there before.

    Attributes:
        timings: of the repeats.
        grown: bytes, the median of the repeats where a work is cheap.
    """

    timings: Sequence[Timing]
    grown: Sequence[int]


def measure(device: str, full: bool) -> Report:
    """Time and memory of the works over their sizes."""
    figures, points = [], {}
    for axis in axes(GPU if full else PROCESSOR, device):
        found = over(axis, device)
        figures += of_axis(axis, found)
        points[axis.name] = {
            "unit": axis.unit,
            "sizes": list(axis.points),
            "seconds": [timing.median for timing in found.timings],
            "bytes": list(found.grown),
        }
    return Report(benchmark="growth", sizes={"points": points}, figures=figures)


def over(axis: Axis, device: str) -> Measured:
    """Measures a work at all its sizes."""
    works = {str(point): axis.work(point) for point in axis.points}
    timings = time_side_by_side(works, device, REPEATS)
    grown = []
    for name, work in works.items():
        repeats = REPEATS if timings[name].median <= CHEAP else 1
        grown.append(int(median(growth(work, device) for _ in range(repeats))))
    return Measured(list(timings.values()), grown)


def growth(work: Work, device: str) -> int:
    """Bytes that a work takes at its peak beside those that were taken before."""
    gc.collect()
    if torch.device(device).type == "cuda":
        before = torch.cuda.memory_allocated()
    else:
        with contextlib.suppress(AttributeError):  # only glibc has it
            ctypes.CDLL(None).malloc_trim(0)  # what was freed would be taken again unnoticed
        before = resident()
    reset_peak(device)
    work()
    wait(device)
    return max(0, peak(device) - before)


def resident() -> int:
    """Bytes of this process in memory."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def of_axis(axis: Axis, found: Measured) -> list[Figure]:
    """The exponents of time and memory beside the theory's."""
    theory = exponent(axis.points, [axis.operations(point) for point in axis.points])
    seconds = exponent(axis.points, [timing.median for timing in found.timings])
    memory, counted = memory_exponent(axis.points, found.grown)
    power, reason = axis.memory
    common: dict[str, Any] = {
        "unit": "exponent",
        "bound": "at most",
        "repeats": len(found.timings[0].seconds),
        "peak_bytes": max(timing.peak_bytes for timing in found.timings),
    }
    return [
        Figure(
            name=f"{axis.name}: time",
            value=seconds,
            against=f"that of the operations, {theory:.2f}, and {SLACK}",
            other=theory + SLACK,
            target=1.0,
            **common,
        ),
        Figure(
            name=f"{axis.name}: memory",
            value=memory,
            against=f"{power:g} ({reason}) and {SLACK}",
            other=power + SLACK,
            target=1.0 if counted >= LEAST_SIZES else None,
            note=f"{counted} of {len(axis.points)} sizes take more than {LEAST_BYTES >> 20} MiB",
            **common,
        ),
    ]


def memory_exponent(sizes: Sequence[int], grown: Sequence[int]) -> tuple[float, int]:
    """The exponent of the memory, and how many sizes it is fitted to.

    To those that take more than `LEAST_BYTES`; where they are too few for a verdict, to all, those
    below as though they took that much.
    """
    taken = [(size, count) for size, count in zip(sizes, grown, strict=True) if count > LEAST_BYTES]
    counted = len(taken)
    if counted < LEAST_SIZES:
        taken = [(size, max(LEAST_BYTES, count)) for size, count in zip(sizes, grown, strict=True)]
    return exponent([size for size, _ in taken], [count for _, count in taken]), counted


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The p of values = c · sizes^p, by least squares over the logarithms."""
    slope, _ = linear_regression([math.log(x) for x in sizes], [math.log(y) for y in values])
    return slope


def plot(points: Mapping[str, Mapping[str, Any]], file: Path) -> None:
    """Draws time and memory against size, both logarithmic, with the fitted exponents."""
    from tessera.report.figures.log_ticks import log_ticks
    from tessera.report.style import DPI, PAGE, house_style, look, new_figure

    with house_style():
        figure = new_figure(PAGE, 0.55 * PAGE)
        time, memory = figure.subplots(1, 2)
        for index, (name, one) in enumerate(points.items()):
            sizes, seconds = one["sizes"], one["seconds"]
            taken = [max(LEAST_BYTES, count) for count in one["bytes"]]
            powers = exponent(sizes, seconds), memory_exponent(sizes, one["bytes"])[0]
            drawn = look(index)
            style = {"color": drawn.colour, "marker": drawn.marker, "linestyle": drawn.line}
            words = f"{name}: {powers[0]:.2f}, {powers[1]:.2f}"
            time.plot(sizes, seconds, label=words, **style)
            memory.plot(sizes, [count / 1e6 for count in taken], **style)
        for place, words in ((time, "time, s"), (memory, "memory of the work, MB")):
            place.set(xscale="log", yscale="log", ylabel=words)
            place.set_xlabel("tokens, images or clusters")
            for axis in (place.xaxis, place.yaxis):
                log_ticks(axis)
        figure.legend(
            loc="outside lower center", ncols=2, title="fitted exponents of time and of memory"
        )
        figure.savefig(file, dpi=DPI, metadata={"Software": None})


def run(argv: Sequence[str]) -> int:
    """The command line: measures, or draws what was saved."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--plot", type=Path, metavar="FILE")
    given, others = parser.parse_known_args(argv)
    if given.plot is None:
        return main(measure, others)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    saved = Path(__file__).parent / "results" / machine_name(device) / "growth.json"
    plot(json.loads(saved.read_text())["sizes"]["points"], given.plot)
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
