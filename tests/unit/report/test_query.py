"""Filters, order and layout of rows of text."""

import pytest

from tessera.errors import UserError
from tessera.report.query import (
    find_column,
    parse_filter,
    read_rows,
    shortest_name,
    sort_rows,
)
from tessera.report.terminal import fitting, layout

COLUMNS = ["stage", "variant", "metric", "value", "samplings.semantic.top_k", "samplings.seed"]
ROWS = [
    dict(zip(COLUMNS, cells, strict=True))
    for cells in (
        ("evaluation", "digits/gpt_ar", "FD (cnn)", "0.25", "10", "0"),
        ("evaluation", "digits/gpt_vq", "FD (cnn)", "2.5", "5", "1"),
        ("evaluation", "digits/gpt_ar", "Precision (cnn)", "1e-1", "none", ""),
        ("stage1", "gpt", "validation loss", "nan", "", ""),
    )
]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("stage=evaluation", [0, 1, 2]),
        ("stage!=evaluation", [3]),
        ("stage = evaluation", [0, 1, 2]),
        ("variant=*_ar", [0, 2]),
        ("variant=digits/gpt_??", [0, 1, 2]),
        ("variant!=*gpt*", []),
        ("variant=ar", []),
        ("metric~fd", [0, 1]),
        ("metric~(CNN)", [0, 1, 2]),
        ("metric=FD (cnn)", [0, 1]),
        ("value<1", [0, 2]),
        ("value<=0.25", [0, 2]),
        ("value>0.25", [1]),
        ("value >= 2.50", [1]),
        ("value=0.10", [2]),
        ("value!=0.25", [1, 2, 3]),
        ("samplings.semantic.top_k=10", [0]),
        ("semantic.top_k>=5", [0, 1]),
        ("top_k=none", [2]),
        ("top_k=", [3]),
        ("top_k!=", [0, 1, 2]),
        ("metric=~", []),
    ],
)
def test_what_a_filter_keeps(text, kept):
    """Wildcards, parts, comparisons of numbers; columns by their last words."""
    one = parse_filter(text, COLUMNS)
    assert [place for place, row in enumerate(ROWS) if one.keeps(row)] == kept


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("evaluation", "--filter 'evaluation' is no filter: write a column, one of ="),
        ("=evaluation", "is no filter"),
        ("", "is no filter"),
        ("valu<1", "--filter: 'valu' is no column: did you mean 'value'?"),
        ("xyz=1", "'xyz' is no column: known are metric, samplings.seed"),
        ("value<small", "compares with 'small', which is no number"),
        ("value>", "compares with '', which is no number"),
    ],
)
def test_a_filter_that_is_none(text, sentence):
    """One sentence that says what to write."""
    with pytest.raises(UserError) as error:
        parse_filter(text, COLUMNS)
    assert sentence in str(error.value)


def test_last_words_that_are_not_enough():
    """Two columns end so: neither is taken."""
    columns = ["stage1.training.seed", "samplings.seed", "seed_count"]
    with pytest.raises(UserError, match=r"may be stage1\.training\.seed or samplings\.seed"):
        find_column("seed", columns, "--sort")
    assert find_column("training.seed", columns, "--sort") == "stage1.training.seed"
    assert find_column("seed", ["seed", *columns], "--sort") == "seed"


def test_order():
    """Numbers by size, text behind them, empty cells last both ways."""
    rows = [{"k": cell} for cell in ("10", "none", "", "9", "-1e3")]
    assert [row["k"] for row in sort_rows(rows, "k", False)] == ["-1e3", "9", "10", "none", ""]
    assert [row["k"] for row in sort_rows(rows, "k", True)] == ["none", "10", "9", "-1e3", ""]


def test_columns_stand_below_each_other():
    """Numbers to the right, six digits of them; without a width nothing is shortened."""
    rows = [
        {"name": "a", "value": "0.123456789", "k": ""},
        {"name": "a long one", "value": "1437", "k": "5"},
    ]
    assert layout(rows, ["name", "value", "k"], None, {}).splitlines() == [
        "name           value  k",
        "a           0.123457",
        "a long one      1437  5",
    ]


def test_long_text_is_shortened():
    """To the terminal's width, in its middle; numbers are not, and no column below six letters."""
    rows = [{"name": "abcdefghijklmnop", "other": "xyz", "value": "0.5"}]
    columns = ["name", "other", "value"]
    assert layout(rows, columns, 24, {}).splitlines() == [
        "name        other  value",
        "abcde…mnop  xyz      0.5",
    ]
    assert layout(rows, columns, 1, {}).splitlines()[1] == "abc…op  xyz      0.5"


def test_different_names_never_look_alike():
    """Both end in `conditional_ar`: the tenth letter from the front or sixteenth from the end."""
    names = ["digits/conditional_ar", "digits/unconditional_ar"]
    rows = [{"variant": name, "value": "1"} for name in names]
    assert layout(rows, ["variant", "value"], 1, {}).splitlines() == [
        "variant           value",
        "digits/c…onal_ar      1",
        "digits/u…onal_ar      1",
    ]


def test_a_column_is_headed_by_its_last_words():
    """As few as name no other column, so that the heading can be typed."""
    columns = ["samplings.semantic.top_k", "samplings.codes.top_k", "samplings.seed", "stage"]
    assert [shortest_name(name, columns) for name in columns] == [
        "semantic.top_k", "codes.top_k", "seed", "stage"
    ]  # fmt: skip
    assert shortest_name("samplings.seed", ["samplings.seed", "seed"]) == "samplings.seed"
    one = [{"samplings.seed": "1"}]
    assert layout(one, ["samplings.seed"], None, {"samplings.seed": "seed"}) == "seed\n   1"


def test_a_narrow_terminal_does_without_what_says_little():
    """First the stage, then the unit, then swept settings from the right, as far as needed."""
    columns = ["stage", "variant", "metric", "value", "unit", "x.top_k", "x.top_p"]
    rows = [
        dict(zip(columns, ("evaluation", name, "FD", "0.5", "1", "5", "0.9"), strict=True))
        for name in ("one", "two")
    ]
    # stage may be cut to "eva…on", the others have the widths of their headings.
    assert fitting(rows, columns, 54, {}) == columns
    assert fitting(rows, columns, 53, {}) == columns[1:]
    assert fitting(rows, columns, 45, {}) == ["variant", "metric", "value", "x.top_k", "x.top_p"]
    assert fitting(rows, columns, 38, {}) == ["variant", "metric", "value", "x.top_k"]
    assert fitting(rows, columns, 1, {}) == ["variant", "metric", "value"]


def test_what_tells_rows_apart_stays():
    """Rows of two stages that have the same variant and metric."""
    columns = ["stage", "variant", "metric", "value", "unit"]
    rows = [
        dict(zip(columns, (stage, "digits", "seconds", "2", "s"), strict=True))
        for stage in ("evaluation", "probe")
    ]
    assert fitting(rows, columns, 1, {}) == ["stage", "variant", "metric", "value"]


def test_a_file_of_rows(tmp_path):
    """Every cell is text, also with commas and line breaks in it."""
    file = tmp_path / "results.csv"
    file.write_text('a,b\n1,"x, y"\n,"two\nlines"\n')
    assert read_rows(file) == (["a", "b"], [{"a": "1", "b": "x, y"}, {"a": "", "b": "two\nlines"}])
    file.write_text("")
    with pytest.raises(UserError, match="is empty"):
        read_rows(file)
