"""Rows of a table of text: which of them a filter keeps, and their order."""

import csv
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from tessera.config.sentences import suggest
from tessera.errors import UserError

Row = Mapping[str, str]

_FILTER = re.compile(r"(?P<column>[^=!~<>]+?)\s*(?P<sign>!=|<=|>=|=|~|<|>)\s*(?P<value>.*)", re.S)
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
}


@dataclass(frozen=True)
class Filter:
    """One condition on a row.

    Attributes:
        column: the column's full name.
        sign: `=` and `!=` (text with the wildcards * and ?, or equal numbers), `~` (contains, in
            small or capital letters), `<`, `<=`, `>`, `>=` (of numbers; other cells never fit).
        value: what the cell is compared with.
    """

    column: str
    sign: str
    value: str

    def keeps(self, row: Row) -> bool:
        """Whether a row fits."""
        cell = row[self.column]
        if self.sign == "~":
            return self.value.lower() in cell.lower()
        if self.sign in ("=", "!="):
            return _equal(cell, self.value) == (self.sign == "=")
        number, bound = as_number(cell), as_number(self.value)
        return number is not None and bound is not None and _COMPARE[self.sign](number, bound)


def read_rows(file: Path) -> tuple[list[str], list[dict[str, str]]]:
    """The columns and rows of a CSV file, all cells as text.

    Raises:
        UserError: it is absent or empty.
    """
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            columns, rows = list(reader.fieldnames or []), list(reader)
    except FileNotFoundError as error:
        raise UserError(
            f"{file} is not there yet: run `snakemake` first, with the same --configfile"
        ) from error
    if not columns:
        raise UserError(f"{file} is empty: delete it and run `snakemake` again")
    return columns, rows


def parse_filter(text: str, columns: Sequence[str]) -> Filter:
    """A filter as it is typed, such as `stage=evaluation`, `metric~FD` or `value<1`.

    Raises:
        UserError: it is none, names no column, or compares with something that is no number.
    """
    match = _FILTER.fullmatch(text.strip())
    if match is None:
        raise UserError(
            f"--filter {text!r} is no filter: write a column, one of = != ~ < <= > >=, and a "
            "value, such as 'stage=evaluation'"
        )
    sign, value = match["sign"], match["value"].strip()
    if sign in _COMPARE and as_number(value) is None:
        raise UserError(
            f"--filter {text!r} compares with {value!r}, which is no number: write one, or use ="
        )
    return Filter(find_column(match["column"].strip(), columns, "--filter"), sign, value)


def find_column(name: str, columns: Sequence[str], flag: str) -> str:
    """The full name of a column, which may be given by its last words: `top_k` or `semantic.top_k`.

    Raises:
        UserError: there is none, or several end so.
    """
    if name in columns:
        return name
    ending = [column for column in columns if column.endswith(f".{name}")]
    if len(ending) == 1:
        return ending[0]
    if ending:
        raise UserError(f"{flag}: {name!r} may be {' or '.join(ending)}: write more of it")
    raise UserError(f"{flag}: {name!r} is no column{suggest(name, columns)}")


def sort_rows(rows: Sequence[Row], column: str, reverse: bool) -> list[Row]:
    """Numbers by size, then text by letters; empty cells last, in whatever direction."""

    def key(row: Row) -> tuple[bool, float, str]:
        number = as_number(row[column])
        return number is None, number or 0.0, row[column]

    filled = sorted((row for row in rows if row[column]), key=key, reverse=reverse)
    return filled + [row for row in rows if not row[column]]


def shortest_name(column: str, columns: Sequence[str]) -> str:
    """The fewest last words of a column by which `find_column` finds it: `semantic.top_k`."""
    words = column.split(".")
    for first in range(len(words) - 1, 0, -1):
        name = ".".join(words[first:])
        if name not in columns and sum(other.endswith(f".{name}") for other in columns) == 1:
            return name
    return column


def as_number(text: str) -> float | None:
    """Text as a finite number; None where it is none."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _equal(cell: str, value: str) -> bool:
    one, other = as_number(cell), as_number(value)
    if one is not None and other is not None:
        return one == other
    return fnmatchcase(cell, value)
