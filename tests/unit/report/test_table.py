"""How cells are shown, and which of them are the best."""

import pytest

from tessera.report.render import to_html, to_latex, to_markdown
from tessera.report.table import (
    PRINTED,
    Column,
    Table,
    parameter_count,
    percent,
    score,
    with_spread,
)


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
    [
        (141.29, "141.29"),
        (9.1, "9.10"),
        (45.0, "45.00"),
        (0.39737, "0.397"),
        (0.4, "0.400"),
        (-0.001431, "-0.00143"),
    ],
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


@pytest.mark.parametrize(
    ("value", "spread", "text"),
    [
        (8.2161, 0.1834, "8.22 ± 0.18"),
        (-0.0014314, 0.0049, "-0.0014 ± 0.0049"),
        (2.0, 1.3229, "2.0 ± 1.3"),
        (7312.4, 412.0, "7312 ± 412"),
        (0.5, 0.0996, "0.50 ± 0.10"),
    ],
)
def test_both_numbers_end_at_the_second_digit_of_the_spread(value, spread, text):
    """Of a spread two digits mean something, and of the mean no more than of the spread."""
    assert with_spread(value, spread) == text


def test_shares_and_their_spreads_are_both_percent():
    """A spread of nought is exact, so the mean keeps its own digits."""
    column = Column("top1", "Top-1", spread="std", show=percent)
    assert column.text({"top1": 0.7756, "std": 0.0123}) == "77.6 ± 1.2"
    assert column.text({"top1": 0.775, "std": 0.0}) == "77.5 ± 0"
    assert column.text({"top1": 0.775}) == "77.5"


def test_what_is_printed_elsewhere_keeps_its_digits():
    """45 stays 45, and 101.0 stays 101.0."""
    column = Column("is", "IS", show=score)
    assert column.text({"is": 45.0, PRINTED: {"is": "45"}}) == "45"
    assert column.text({"is": 101.0, PRINTED: {"is": "101.0"}}) == "101.0"
    assert column.text({"is": 101.0, PRINTED: {"is": None}}) == "101.00"
    assert column.text({PRINTED: {}}) == "–"


@pytest.mark.parametrize(
    ("rows", "best"),
    [
        ([(1.0, 0.25), (1.5, 0.25), (3.0, 0.25)], {0}),
        ([(1.0, 0.5), (1.5, 0.25), (3.0, 0.25)], set()),  # its own deviation reaches the second
        ([(1.0, 0.25), (1.5, 0.75), (3.0, 0.25)], set()),  # the second's reaches it
        ([(1.0, 0.25), (1.5, 0.25), (3.0, 4.0)], set()),  # the last one's does
        ([(1.0, None), (1.5, None), (3.0, None)], {0}),
        ([(1.0, 0.25), (1.0, 0.25), (3.0, 0.25)], {0, 1}),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_best_within_a_deviation_of_another_is_not_marked(rows, best, sign):
    """Whether low or high values are the good ones."""
    column = Column("d", "D", best="low" if sign == 1 else "high", spread="std")
    cells = [{"d": sign * value, "std": std} for value, std in rows]
    assert Table("t", "", [column], cells).best == {(i, "d") for i in best}


def test_a_heading_of_two_lines():
    """LaTeX sets two lines, Markdown one."""
    table = Table("t", "", [Column("x", "FID\n(50 %)", best="low")], [{"x": 1}])
    assert r"\shortstack{FID\\(50 \%) $\downarrow$}" in to_latex(table)
    assert "| FID (50 %) ↓ |" in to_markdown(table)
    assert "FID<br>\n(50 %) ↓</th>" in to_html(table)
