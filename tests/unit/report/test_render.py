"""Tables as text."""

import csv
import io

import pytest

from tessera.report.render import (
    latex_escape,
    markdown_escape,
    to_csv,
    to_html,
    to_latex,
    to_markdown,
)
from tessera.report.table import Column, Table, percent, shown

TABLE = Table(
    "some_name",
    "A caption with 5 % & more_words.",
    [
        Column("name", "Name_1"),
        Column("distance", "FD", best="low", spread="distance_std"),
        Column("distance_std"),
        Column("score", "Score", best="high", show=percent),
        Column("note", "Note"),
        Column("digest"),
        Column("nothing", "Nothing"),
    ],
    [
        {
            "name": "a_b",
            "distance": 0.1 + 0.2,
            "distance_std": 0.0123,
            "score": 0.5,
            "digest": "d1",
        },
        {"name": "50 % & #1", "distance": 2.0, "score": 0.75, "note": True, "digest": "d2"},
        {"name": "c|d*", "distance": 0.1 + 0.2, "distance_std": 0.5, "score": 0.75, "digest": "d3"},
    ],
)


def cells(markdown: str) -> list[list[str]]:
    """The cells of a pipe table, heading first."""
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    lines = [line.replace(r"\|", "\0") for line in lines]
    rows = [[cell.strip().replace("\0", "|") for cell in line[1:-1].split("|")] for line in lines]
    return [rows[0], *rows[2:]]


def test_csv_keeps_every_digit_and_every_column():
    """Floats read back from the CSV file are the same floats."""
    rows = list(csv.DictReader(io.StringIO(to_csv(TABLE))))
    assert [float(row["distance"]) for row in rows] == [0.1 + 0.2, 2.0, 0.1 + 0.2]
    assert [row["digest"] for row in rows] == ["d1", "d2", "d3"]
    assert [row["name"] for row in rows] == ["a_b", "50 % & #1", "c|d*"]
    assert rows[0]["nothing"] == ""
    assert rows[1]["note"] == "true"


def test_markdown_marks_all_that_reach_the_best():
    """Lower is better for the distance, higher for the score; a tie is marked twice."""
    head, *rows = cells(to_markdown(TABLE))
    assert head == ["Name_1", "FD ↓", "Score ↑", "Note"]
    assert rows == [
        ["a_b", "**0.300 ± 0.012**", "50.0", "–"],
        ["50 % & #1", "2", "**75.0**", "yes"],
        [r"c|d\*", "**0.30 ± 0.50**", "**75.0**", "–"],
    ]


def test_markdown_pipes_of_values_split_no_cell():
    """A pipe in a name is escaped, so every line has as many cells as the heading."""
    lines = [line for line in to_markdown(TABLE).splitlines() if line.startswith("|")]
    bars = {line.replace(r"\|", "").count("|") for line in lines}
    assert bars == {5}


def test_latex_escapes_and_marks():
    """Special signs are escaped, the best cells are bold, rules are booktabs'."""
    text = to_latex(TABLE)
    assert r"a\_b & \textbf{0.300 $\pm$ 0.012} & 50.0 & -- \\" in text
    assert r"50 \% \& \#1 & 2 & \textbf{75.0} & yes \\" in text
    assert r"\caption{A caption with 5 \% \& more\_words.}" in text
    assert r"Name\_1 & FD $\downarrow$ & Score $\uparrow$ & Note \\" in text
    for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\label{tab:some-name}"):
        assert text.count(rule) == 1
    assert text.isascii()
    lines = text.splitlines()
    assert lines.index(r"  \vspace{4pt}") < lines.index(r"    \toprule")


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a_b", r"a\_b"),
        ("5 % & $3", r"5 \% \& \$3"),
        ("{x}~^\\", r"\{x\}\textasciitilde{}\textasciicircum{}\textbackslash{}"),
        ("a < b > c", r"a \textless{} b \textgreater{} c"),
        ("-0.5 ± 0.1, (-2)", r"$-$0.5 $\pm$ 0.1, ($-$2)"),
        ("top-k, DiT-7B, 2024-01-02, 1e-05", "top-k, DiT-7B, 2024-01-02, 1e-05"),
    ],
)
def test_latex_escape(text, escaped):
    """Each special sign has its own command."""
    assert latex_escape(text) == escaped


def test_markdown_escape():
    """Signs that would format or split are shown as they are."""
    assert markdown_escape("a|b *c* `d` <e>\nf") == r"a\|b \*c\* \`d\` \<e> f"


def test_html_is_escaped_and_whole():
    """The page has the same cells, escaped, and asks for nothing from elsewhere."""
    text = to_html(TABLE)
    assert "<strong>0.300 ± 0.012</strong>" in text
    assert "50 % &amp; #1" in text
    assert "http" not in text
    assert "<script" not in text
    assert text.count("<tr>") == 4


def test_differing_counts_leave_nothing_in_bold():
    """Distances of sets with other counts are not comparable, so none of them is the best."""
    rows = [{"d": 1.0, "n": 10}, {"d": 2.0, "n": 20}]
    columns = [Column("d", "D", best="low"), Column("n", "N")]
    assert Table("t", "", columns, rows, alike="n").best == set()
    assert Table("t", "", columns, rows).best == {(0, "d")}


def test_a_single_value_is_not_the_best():
    """Bold says that something was beaten."""
    assert Table("t", "", [Column("d", "D", best="low")], [{"d": 1.0}, {}]).best == set()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (True, "yes"),
        (12345, "12,345"),
        (0.00012345, "0.0001234"),
        (123456.7, "123,457"),
    ],
)
def test_shown(value, text):
    """Values as people read them."""
    assert shown(value) == text
