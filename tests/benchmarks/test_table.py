"""Results as tables, and the documentation's, which are those of committed results."""

from pathlib import Path

import pytest

from benchmarks import run, table

FIGURE = {
    "name": "products", "value": 1.5e11, "unit": "FLOP/s", "against": "a square one", "other": 2e11,
    "ratio": 0.75, "target": 0.9, "bound": "at least", "reached": False, "peak_bytes": 25_000_000,
}  # fmt: skip


def test_a_figure_is_a_row():
    """With units that can be read, and the verdict in words."""
    report = {"benchmark": "one", "figures": [FIGURE], "left_out": ["bfloat16: no hardware"]}
    lines = [*table.section(report)]
    assert lines[0] == "### one\n"
    row = "| products | 150 GFLOP/s | a square one: 200 GFLOP/s | 0.75 | ≥ 0.9 **missed** | 25 MB |"
    assert row in lines
    assert lines[-1] == "Not run: bfloat16: no hardware.\n"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1234.5, "tokens/s", "1,234 tokens/s"),
        (0.01234, "s", "0.0123 s"),
        (9.2e12, "B/s", "9.2 TB/s"),
    ],
)
def test_numbers_have_three_digits(value, unit, text):
    """Bytes and operations with the prefixes of units; all else as it is."""
    assert table.amount(value, unit) == text


@pytest.mark.parametrize("folder", sorted(run.RESULTS.glob("*")), ids=lambda folder: folder.name)
def test_the_documentation_shows_what_is_committed(repo, folder: Path):
    """Word for word: `python -m benchmarks.table` prints it."""
    assert table.page(folder) in (repo / "docs" / "performance.md").read_text()
