"""How cells are shown, and which of them are the best."""

import pytest

from tessera.report.render import to_latex, to_markdown
from tessera.report.table import Column, Table, parameter_count, score


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (219_377_664, "219M"),
        (13_500_000_000, "13.5B"),
        (999_600_000, "1B"),
        (999_400_000, "999M"),
        (350_784, "351K"),
        (12, "12"),
        (None, "–"),
    ],
)
def test_counts_of_parameters(value, text):
    """Three digits and a unit."""
    assert parameter_count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(141.29, "141.29"), (9.1, "9.1"), (45.0, "45"), (0.39737, "0.397"), (-0.001431, "-0.00143")],
)
def test_scores(value, text):
    """Two digits after the point, three of a small one."""
    assert score(value) == text


def test_peers_compete_among_themselves():
    """Each data set has its best; a lone row has none."""
    columns = [Column("data", "Data"), Column("top1", "Top-1", best="high")]
    rows = [("a", 1), ("a", 3), ("b", 9), ("b", 7), ("c", 99)]
    rows = [dict(zip(("data", "top1"), row, strict=True)) for row in rows]
    assert Table("t", "", columns, rows, peers="data").best == {(1, "top1"), (2, "top1")}
    assert Table("t", "", columns, rows).best == {(4, "top1")}


def test_a_heading_of_two_lines():
    """LaTeX sets two lines, Markdown one."""
    table = Table("t", "", [Column("x", "FID\n(50 %)", best="low")], [{"x": 1}])
    assert r"\shortstack{FID\\(50 \%) $\downarrow$}" in to_latex(table)
    assert "| FID (50 %) ↓ |" in to_markdown(table)
