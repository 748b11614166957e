"""A table: rows of values, and how each column is shown.

`tessera.report.render` writes the same rows as CSV (every column, full precision), Markdown, LaTeX
and HTML; the last three round, mark the best value of a column and leave out bare provenance.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Row = Mapping[str, Any]
Cell = tuple[int, str]
"""Index of the row, key of the column."""

EMPTY = "–"  # an en dash, as print sets an empty cell

PRINTED = "printed"
"""Key of a row's numbers that are shown as somebody else printed them: column → text."""


def shown(value: Any) -> str:
    """A value as people read it: four digits of a fraction, thousands apart, yes and no."""
    if value is None or value == "":
        return EMPTY
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return str(value)


def percent(value: float | None) -> str:
    """A share in [0, 1] in percent, one digit after the point."""
    return EMPTY if value is None else f"{100 * value:.1f}"


def parameter_count(value: int | None) -> str:
    """A count of parameters as papers write it, three digits: "219M", "3.8B", "363K"."""
    if value is None:
        return EMPTY
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if value >= 0.9995 * size:  # which three digits round up
            return f"{value / size:.3g}{unit}"
    return str(value)


def score(value: float | None) -> str:
    """A score or distance as papers write it: two digits after the point, three of a small one."""
    if value is None:
        return EMPTY
    return f"{value:#.3g}" if abs(value) < 1 else f"{value:.2f}"


def with_spread(value: float, spread: float) -> str:
    """A mean and its deviation, which is known to two digits: both end at the second of them."""
    exponent = int(f"{spread:.1e}".partition("e")[2])
    digits = max(0, 1 - exponent)
    return f"{value:.{digits}f} ± {spread:.{digits}f}"


def fixed(digits: int) -> Callable[[float | None], str]:
    """Shows numbers with so many digits after the point."""
    return lambda value: EMPTY if value is None else f"{value:.{digits}f}"


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        key: the value's key in a row, and the column's name in the CSV file.
        title: heading where people read; "" keeps the column for the CSV file.
        best: which value is the best one: it is set in bold, and the heading gets an arrow.
        spread: key of the standard deviation, shown after "±"; a value whose deviation reaches
            another one is not marked as the best.
        show: value → text.
        data: whether the CSV file has the column.
    """

    key: str
    title: str = ""
    best: Literal["low", "high"] | None = None
    spread: str | None = None
    show: Callable[[Any], str] = shown
    data: bool = True

    @property
    def heading(self) -> str:
        """The title, with an arrow where one direction is better."""
        return self.title + {"low": " ↓", "high": " ↑", None: ""}[self.best]

    def text(self, row: Row) -> str:
        """A row's cell as people read it."""
        value, spread = row.get(self.key), self.spread_of(row)
        if spread and value is not None:
            scale = 100 if self.show is percent else 1
            return with_spread(scale * value, scale * spread)
        text: str = row.get(PRINTED, {}).get(self.key) or self.show(value)
        return text if spread is None else f"{text} ± 0"

    def spread_of(self, row: Row) -> float | None:
        """The standard deviation of a row's value, where it has one."""
        return row.get(self.spread) if self.spread else None

    def is_apart(self, row: Row, other: Row) -> bool:
        """Whether two rows' values differ by more than the larger of their deviations."""
        reach = max(self.spread_of(row) or 0.0, self.spread_of(other) or 0.0)
        apart: bool = abs(row[self.key] - other[self.key]) > reach
        return apart


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: stem of its files.
        caption: a sentence or two.
        columns: the columns.
        rows: key → value; an absent key is an empty cell.
        alike: key in which rows must agree for a best value to be marked (the count of images).
        peers: key in which rows agree that are compared with each other (their data set): each
            such group has best values of its own; "" compares all.
    """

    name: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    alike: str | None = None
    peers: str = ""

    @property
    def visible(self) -> list[Column]:
        """The columns that people see: those with a heading and with a value in some row."""
        return [
            column
            for column in self.columns
            if column.title and any(row.get(column.key) is not None for row in self.rows)
        ]

    @property
    def best(self) -> set[Cell]:
        """The best cells: of each ranked column with two values or more, all that reach the best.

        A column whose rows differ in `alike` has none: distances between sets of different counts
        are not comparable. Nor is a value marked from which another one is not apart.
        """
        marks: set[Cell] = set()
        groups = dict.fromkeys(row.get(self.peers) for row in self.rows)
        for column, group in itertools.product(self.columns, groups):
            cells = [
                (i, row)
                for i, row in enumerate(self.rows)
                if row.get(column.key) is not None and row.get(self.peers) == group
            ]
            if column.best is None or len(cells) < 2:
                continue
            if self.alike is not None and len({row.get(self.alike) for _, row in cells}) > 1:
                continue
            values = [row[column.key] for _, row in cells]
            best = min(values) if column.best == "low" else max(values)
            first = [(i, row) for i, row in cells if row[column.key] == best]
            others = [row for _, row in cells if row[column.key] != best]
            if all(column.is_apart(row, other) for _, row in first for other in others):
                marks |= {(i, column.key) for i, _ in first}
        return marks

    def is_number(self, column: Column) -> bool:
        """Whether a column holds numbers alone and so stands to the right."""
        values = [row.get(column.key) for row in self.rows]
        return all(value is None or type(value) in (int, float) for value in values)
