"""Runs all benchmarks, each in a process of its own, and compares with what is committed.

    python -m benchmarks.run [--device cuda] [--only NAME ...] [--save] [--strict]

The last results of each machine lie in benchmarks/results/MACHINE/NAME.json. Ratios are compared,
since they mean the same on a machine that is faster or busier.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness import machine_name

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
NOTABLE = 0.15
"""A ratio that is worse by more than this share is marked; less is noise on a shared machine."""


def main(argv: Sequence[str] | None = None) -> int:
    """Prints a table; returns 1 where a benchmark failed, or, with --strict, was slower."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=None, metavar="NAME")
    parser.add_argument("--out", type=Path, help="folder of the JSON (default: none is kept)")
    parser.add_argument("--save", action="store_true", help=f"keep the JSON in {RESULTS.name}/")
    parser.add_argument("--strict", action="store_true", help="fail where a ratio became worse")
    parser.add_argument("--limit", type=int, default=1200, help="seconds a benchmark may take")
    given = parser.parse_args(argv)
    committed = RESULTS / machine_name(given.device)
    folders = [folder for folder in (given.out, committed if given.save else None) if folder]
    names = [
        name
        for name in given.only or NAMES
        if given.device == "cpu" or name not in ON_PROCESSORS or given.only
    ]
    failed = worse = False
    for name in names:
        start = time.monotonic()
        report = run_one(name, given.device, given.limit)
        seconds = time.monotonic() - start
        if isinstance(report, str):
            print(f"{name}: FAILED after {seconds:.0f} s: {report}", flush=True)
            failed = True
            continue
        old = read(committed / f"{name}.json")
        print(f"\n{name} ({seconds:.0f} s)", flush=True)
        for line, notable in lines(report, old):
            print(line, flush=True)
            worse |= notable
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}.json").write_text(json.dumps(report, indent=2) + "\n")
    return int(failed or (given.strict and worse))


def run_one(name: str, device: str, limit: int) -> dict[str, Any] | str:
    """The report of one benchmark, or why there is none."""
    command = [sys.executable, "-m", f"benchmarks.{name}", "--device", device]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return f"it took more than {limit} s"
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["no word of why"])[-1]
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def read(file: Path) -> dict[str, Any] | None:
    """What is committed of a benchmark, or None."""
    return json.loads(file.read_text()) if file.exists() else None


def lines(new: dict[str, Any], old: dict[str, Any] | None) -> Iterator[tuple[str, bool]]:
    """A line a figure, and whether it is notably worse than the one of the same name before."""
    before = {figure["name"]: figure for figure in (old or {}).get("figures", [])}
    for figure in new["figures"]:
        line = (
            f"  {figure['name']}: {figure['value']:.4g} {figure['unit']}, "
            f"{figure['ratio']:.2f} x {figure['against']} ({figure['other']:.4g})"
        )
        if figure["target"] is not None:
            verdict = "reached" if figure["reached"] else "MISSED"
            line += f"; target {figure['bound']} {figure['target']:g}: {verdict}"
        notable = False
        if figure["name"] in before:
            change = figure["ratio"] / before[figure["name"]]["ratio"] - 1
            loss = change if figure["bound"] == "at most" else -change
            notable = loss > NOTABLE
            line += f"; {change:+.0%} against the last{' WORSE' if notable else ''}"
        yield line, notable
    for left in new["left_out"]:
        yield f"  not run: {left}", False


if __name__ == "__main__":
    sys.exit(main())
