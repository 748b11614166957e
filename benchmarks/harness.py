"""What all benchmarks share: timing, peak memory, the machine, and the JSON that they print.

A benchmark is a module with a function `measure(device, full) -> Report`. `python -m
benchmarks.NAME` runs it; `python -m benchmarks.run` runs all and compares with what is committed.
"""

import argparse
import contextlib
import ctypes
import gc
import json
import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from tessera.reproducible import compute_reproducibly

PACKAGES = ("torch", "torchvision", "timm", "torch-fidelity", "faiss-cpu", "numpy", "snakemake")
"""Whose versions stand in each report, where they are installed."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One number beside what it is measured against, in the same run and the same unit.

    Attributes:
        name: what was measured, such as "float32, batch 16".
        value: the number.
        unit: its unit, such as "tokens/s" or "s".
        against: what the other number is: a limit and how it was computed, or an alternative.
        other: that number.
        target: the ratio value / other that is to be reached; None where none is set.
        bound: whether the ratio must be "at least" or "at most" the target.
        spread: half the range of the repeats over their median.
        repeats: timed repeats.
        peak_bytes: most memory that was in use: of the process, or of the GPU where it ran there.
        note: what a reader should know.
    """

    name: str
    value: float
    unit: str
    against: str
    other: float
    target: float | None = None
    bound: str = "at least"
    spread: float = 0.0
    repeats: int = 1
    peak_bytes: int = 0
    note: str = ""

    @property
    def ratio(self) -> float:
        """The value over what it is measured against."""
        return self.value / self.other

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None where there is none."""
        if self.target is None:
            return None
        return self.ratio >= self.target if self.bound == "at least" else self.ratio <= self.target


@dataclass(frozen=True, kw_only=True)
class Report:
    """What one benchmark found on one machine.

    Attributes:
        benchmark: the module's name.
        sizes: the sizes that were run: of models, batches, images.
        figures: the numbers.
        left_out: what was not run here, and why.
    """

    benchmark: str
    sizes: Mapping[str, Any]
    figures: Sequence[Figure]
    left_out: Sequence[str] = field(default_factory=tuple)

    def as_json(self, device: str) -> dict[str, Any]:
        """The report with machine and versions."""
        figures = [
            asdict(figure) | {"ratio": figure.ratio, "reached": figure.reached}
            for figure in self.figures
        ]
        return {
            "benchmark": self.benchmark,
            "machine": machine(device),
            "versions": versions(),
            "sizes": dict(self.sizes),
            "figures": figures,
            "left_out": list(self.left_out),
        }


@dataclass(frozen=True)
class Timing:
    """Seconds of repeats, and the peak of memory over them in bytes."""

    seconds: tuple[float, ...]
    peak_bytes: int = 0

    @property
    def median(self) -> float:
        """Seconds of the median repeat."""
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """Half the range over the median."""
        return (max(self.seconds) - min(self.seconds)) / 2 / self.median

    def of(self, amount: float) -> dict[str, Any]:
        """The fields of a `Figure` for a rate: `amount` units of work a repeat."""
        return {"value": amount / self.median} | self._facts()

    def taken(self) -> dict[str, Any]:
        """The fields of a `Figure` for the seconds of a repeat."""
        return {"value": self.median} | self._facts()

    def _facts(self) -> dict[str, Any]:
        repeats = len(self.seconds)
        return {"spread": self.spread, "repeats": repeats, "peak_bytes": self.peak_bytes}


def time_side_by_side(
    works: Mapping[str, Callable[[], Any]], device: str, repeats: int = 5, warm: int = 1
) -> dict[str, Timing]:
    """Times several works in turn: whatever else the machine does meets all of them alike.

    Args:
        works: what to run, by name.
        device: "cpu" or "cuda"; a GPU is waited for before the clock is read.
        repeats: timed rounds.
        warm: rounds before the clock runs.

    Returns:
        The timing of each work, with its own peak of memory.
    """
    seconds: dict[str, list[float]] = {name: [] for name in works}
    peaks = {}
    # A processor's in the first round, whose memory is new; a GPU's when all is compiled.
    measured = warm if torch.device(device).type == "cuda" else 0
    for turn in range(warm + repeats):
        for name, work in works.items():
            gc.collect()
            wait(device)
            if turn == measured:
                reset_peak(device)
            start = time.perf_counter()
            work()
            wait(device)
            if turn >= warm:
                seconds[name].append(time.perf_counter() - start)
            if turn == measured:
                peaks[name] = peak(device)
    return {name: Timing(tuple(seconds[name]), peaks[name]) for name in works}


def wait(device: str) -> None:
    """Waits for what a GPU still has to do."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def reset_peak(device: str) -> None:
    """Begins a new measurement of the peak of memory, where the system lets one."""
    if torch.device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return
    with contextlib.suppress(AttributeError, OSError):  # not glibc: then what was freed may count
        ctypes.CDLL(None).malloc_trim(0)
    with contextlib.suppress(OSError):  # else the peak is that of the whole run so far
        Path("/proc/self/clear_refs").write_text("5")


def peak(device: str) -> int:
    """Bytes at the peak since `reset_peak`: allocated on the GPU, or resident in this process."""
    if torch.device(device).type == "cuda":
        return int(torch.cuda.max_memory_allocated())
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def machine(device: str) -> dict[str, Any]:
    """What ran: processor, cores that this process may use, GPU."""
    found: dict[str, Any] = {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "device": device,
        "fast_bfloat16": fast_bfloat16(device),
    }
    if torch.device(device).type == "cuda":
        found["gpu"] = torch.cuda.get_device_name()
        found["cuda"] = torch.version.cuda
    return found


def machine_name(device: str) -> str:
    """The folder that keeps this machine's results, such as "intel-xeon-2.80ghz-2-cores"."""
    if torch.device(device).type == "cuda":
        return _word(torch.cuda.get_device_name())
    return f"{_word(_processor())}-{len(os.sched_getaffinity(0))}-cores"


def fast_bfloat16(device: str) -> bool:
    """Whether the device multiplies bfloat16 in hardware; other processors emulate it, slowly."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_capability() >= (8, 0)
    flags = _cpuinfo("flags").split()
    return "avx512_bf16" in flags or "amx_bf16" in flags


def versions() -> dict[str, str]:
    """Python's and those of the packages that matter for speed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def main(measure: Callable[[str, bool], Report], argv: Sequence[str] | None = None) -> int:
    """The command line of a benchmark: prints its report as JSON.

    Args:
        measure: (device, full) → report. `full` asks for the sizes of the paper, which a GPU has
            by default; else for sizes that a processor does in a minute or two.
        argv: the arguments; None takes those of the process.
    """
    parser = argparse.ArgumentParser(description=(measure.__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--full", action=argparse.BooleanOptionalAction, help="sizes of the paper")
    parser.add_argument("--out", type=Path, help="file of the JSON (default: the terminal)")
    given = parser.parse_args(argv)
    full = torch.device(given.device).type == "cuda" if given.full is None else given.full
    compute_reproducibly(torch.get_num_threads())  # as the stages do
    text = as_text(measure(given.device, full).as_json(given.device))
    if given.out is None:
        print(text, end="")
    else:
        given.out.write_text(text)
    return 0


def as_text(report: Mapping[str, Any]) -> str:
    """A report as JSON.

    Raises:
        ValueError: a number of it is infinite or none at all.
    """
    return json.dumps(report, indent=2, allow_nan=False) + "\n"


def _processor() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _cpuinfo(key: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "")


def _word(text: str) -> str:
    """A name of hardware as that of a folder: "Intel(R) Xeon(R) CPU @ 2GHz" → "intel-xeon-2ghz"."""
    plain = re.sub(r"\((R|TM)\)|\b(CPU|Processor)\b", " ", text, flags=re.IGNORECASE).lower()
    return re.sub(r"[^a-z0-9.]+", "-", plain).strip("-.") or "unknown"
