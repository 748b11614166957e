"""The results of one machine as tables of Markdown, as docs/performance.md shows them.

python -m benchmarks.table benchmarks/results/MACHINE
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.run import NAMES

HEAD = "| what | measured | against | ratio | target | peak |\n|---|---:|---|---:|---:|---:|"


def page(folder: Path) -> str:
    """All results of a machine, a table each, in the order in which they are measured."""
    files = [folder / f"{name}.json" for name in NAMES]
    reports = [json.loads(file.read_text()) for file in files if file.exists()]
    return "\n".join(line for report in reports for line in section(report)) + "\n"


def section(report: Mapping[str, Any]) -> Iterator[str]:
    """The lines of one benchmark: its name, its figures, and what was not run."""
    yield f"### {report['benchmark']}\n"
    yield HEAD
    for figure in report["figures"]:
        cells = (
            figure["name"],
            amount(figure["value"], figure["unit"]),
            f"{figure['against']}: {amount(figure['other'], figure['unit'])}",
            f"{figure['ratio']:.2f}",
            target(figure),
            amount(figure["peak_bytes"], "B") if figure["peak_bytes"] else "",
        )
        yield f"| {' | '.join(cells)} |"
    yield ""
    for left in report["left_out"]:
        yield f"Not run: {left}.\n"


def amount(value: float, unit: str) -> str:
    """A number of three digits with its unit, enlarged: 0.5 s, 1.2 MB, 230 GFLOP/s."""
    scaled = unit in ("B", "B/s", "FLOP/s")
    for prefix, size in (("T", 1e12), ("G", 1e9), ("M", 1e6)) if scaled else ():
        if value >= size:
            return f"{_digits(value / size)} {prefix}{unit}"
    return f"{_digits(value)} {unit}"


def target(figure: Mapping[str, Any]) -> str:
    """The ratio that is to be reached, and whether it is."""
    if figure["target"] is None:
        return ""
    sign = "≥" if figure["bound"] == "at least" else "≤"
    verdict = "reached" if figure["reached"] else "**missed**"
    return f"{sign} {figure['target']:g} {verdict}"


def _digits(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    print(page(Path(sys.argv[1])), end="")
