"""Runs all benchmarks, each in a process of its own, and compares with what is committed.

    python -m benchmarks.run [--device cuda] [--budget 540] [--only NAME ...] [--save] [--strict]

The last results of each machine lie in benchmarks/results/MACHINE/NAME.json. Ratios are compared,
since they mean the same on a machine that is faster or busier.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness import as_text, machine_name

NAMES = (
    "stage1_training",
    "stage1_sampling",
    "stage2_sampling",
    "masked_sampling",
    "vqgan_decoding",
    "evaluation",
    "features",
    "kmeans",
    "workflow",
    "growth",
)
ON_PROCESSORS = ("workflow",)
"""Those that have nothing to do on a GPU."""
RESULTS = Path(__file__).parent / "results"
BUDGET = {"cpu": 3600, "cuda": 540}
"""Seconds of all, where nothing is said: on a GPU they fit into the shortest of jobs."""
LEAST = 15
"""Seconds below which none is begun: torch and its warm-up alone take them."""
NOTABLE = 0.15
"""A ratio that is worse by more than this share is marked; less is noise on a shared machine."""
SHARE = 0.5
"""Of what is left on a GPU, for one benchmark that others wait behind: none may take all of it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Prints a table; returns 1 where a benchmark gave no report, or, with --strict, was slower."""
    given = _parser().parse_args(argv)
    committed = RESULTS / machine_name(given.device)
    folders = [folder for folder in (given.out, committed if given.save else None) if folder]
    budget = given.budget or BUDGET[torch.device(given.device).type]
    start = time.monotonic()
    absent = worse = False
    reached = []
    names = chosen(given.only, given.device)
    for place, name in enumerate(names):
        left = budget - (time.monotonic() - start)
        limit = given.limit
        if names[place + 1 :] and _on_gpu(given.device):
            limit = min(limit, max(LEAST, SHARE * left))
        report = run_one(name, given.device, limit, left)
        if isinstance(report, str):
            print(f"\n{name}: {report}", flush=True)
            absent = True
            continue
        print(f"\n{name} ({budget - left:.0f} s after the start)", flush=True)
        for line, notable in lines(report, read(committed / f"{name}.json")):
            print(line, flush=True)
            worse |= notable
        reached += [figure["reached"] for figure in report["figures"]]
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}.json").write_text(as_text(report))
    print(
        f"\n{time.monotonic() - start:.0f} s: {reached.count(True)} targets reached, "
        f"{reached.count(False)} missed"
    )
    return int(absent or (given.strict and worse))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=None, metavar="NAME")
    parser.add_argument("--out", type=Path, help="folder of the JSON (default: none is kept)")
    parser.add_argument("--save", action="store_true", help=f"keep the JSON in {RESULTS.name}/")
    parser.add_argument("--strict", action="store_true", help="fail where a ratio became worse")
    parser.add_argument("--limit", type=float, default=600, help="seconds of one (default 600)")
    parser.add_argument(
        "--budget", type=float, metavar="SECONDS",
        help="seconds of all: what does not fit is said and not run "
        f"(default: {BUDGET['cpu']}, on a GPU {BUDGET['cuda']})",
    )  # fmt: skip
    return parser


def chosen(only: Sequence[str] | None, device: str) -> list[str]:
    """The benchmarks to run: those asked for, or all that the device has something to do in."""
    if only:
        return list(only)
    return [name for name in NAMES if not (_on_gpu(device) and name in ON_PROCESSORS)]


def _on_gpu(device: str) -> bool:
    return torch.device(device).type == "cuda"


def run_one(name: str, device: str, limit: float, left: float) -> dict[str, Any] | str:
    """The report of one benchmark, or why there is none.

    Args:
        name: the benchmark.
        device: what it runs on.
        limit: seconds that it may take.
        left: seconds that are left for all.
    """
    if left < LEAST:
        return f"NOT RUN: {max(0, left):.0f} s are left of the budget"
    seconds = min(limit, left)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.json"  # a file: libraries print to the terminal
        # A session of its own, so that what it has started ends with it.
        with subprocess.Popen(
            command(name, device, file),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                _, said = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                return f"FAILED: stopped after {seconds:.0f} s"
            finally:
                _end(process.pid)
        if process.returncode or not file.exists():
            return f"FAILED: {(said.strip().splitlines() or ['no word of why'])[-1]}"
        report: dict[str, Any] = json.loads(file.read_text())
    return report


def command(name: str, device: str, file: Path) -> list[str]:
    """Runs a benchmark, which writes its JSON to `file`."""
    return [sys.executable, "-m", f"benchmarks.{name}", "--device", device, "--out", str(file)]


def _end(group: int) -> None:
    """Kills what is left of a process and of all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def read(file: Path) -> dict[str, Any] | None:
    """What is committed of a benchmark, or None."""
    return json.loads(file.read_text()) if file.exists() else None


def lines(new: dict[str, Any], old: dict[str, Any] | None) -> Iterator[tuple[str, bool]]:
    """A line a figure, and whether it is notably worse than the one of the same name before.

    A figure that was there before and is no more counts as worse.
    """
    before = {figure["name"]: figure for figure in (old or {}).get("figures", [])}
    for figure in new["figures"]:
        line = (
            f"  {figure['name']}: {figure['value']:.4g} {figure['unit']}, "
            f"{figure['ratio']:.2f} x {figure['against']} ({figure['other']:.4g})"
        )
        if figure["target"] is not None:
            verdict = "reached" if figure["reached"] else "MISSED"
            line += f"; target {figure['bound']} {figure['target']:g}: {verdict}"
        change = _change(figure, before.pop(figure["name"], None))
        notable = False
        if change is not None:
            loss = change if figure["bound"] == "at most" else -change
            notable = loss > NOTABLE
            line += f"; {change:+.0%} against the last{' WORSE' if notable else ''}"
        yield line, notable
    for name in before:
        yield f"  {name}: GONE, it is in the last results", True
    for left in new["left_out"]:
        yield f"  not run: {left}", False


def _change(figure: dict[str, Any], before: dict[str, Any] | None) -> float | None:
    """The share by which a ratio grew; None where there is none.

    As with exponents and differences of timings, which may be 0 or less.
    """
    if before is None or min(figure["ratio"], before["ratio"]) <= 0:
        return None
    change: float = figure["ratio"] / before["ratio"] - 1
    return change


if __name__ == "__main__":
    sys.exit(main())
