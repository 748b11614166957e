"""Rows of text in a terminal: columns that fit into its lines, below short headings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tessera.report.query import Row, as_number

Names = Mapping[str, str]

LEAST = 6
"""Characters that a shortened column keeps."""

SAYS_LITTLE = ("card", "stage", "unit", "base")
"""Columns that a narrow terminal does without, the first ones first."""


def fitting(rows: Sequence[Row], columns: Sequence[str], width: int, names: Names) -> list[str]:
    """The columns that fit into lines of `width` characters, in their order.

    Left out are, as far as needed and in this order, those that say least (`SAYS_LITTLE`), then
    swept settings, the last ones first: the variant's name tells them too. A column without which
    rows would look alike stays, and so does every other one.
    """
    kept = list(columns)
    swept = [name for name in reversed(columns) if "." in name]
    for name in (*SAYS_LITTLE, *swept):
        narrowest = _grid(rows, kept, names).narrowest
        if sum(narrowest) + 2 * (len(kept) - 1) <= width:
            break
        rest = [other for other in kept if other != name]
        if name in kept and _kinds(rows, rest) == _kinds(rows, kept):
            kept = rest
    return kept


def layout(rows: Sequence[Row], columns: Sequence[str], width: int | None, names: Names) -> str:
    """Rows below their headings, numbers to the right, in at most `width` characters a line.

    The longest columns of text are shortened first; never so far that two cells of a column look
    alike, nor below the heading or six characters, so that lines of many columns may be longer.
    Numbers stay whole. None shortens nothing.

    Args:
        rows: what to show.
        columns: their columns, by full names.
        width: of the terminal, characters.
        names: full name of a column → its heading; those that are absent head themselves.
    """
    grid = _grid(rows, columns, names)
    widths = list(grid.widths)
    if width is not None:
        _shorten(widths, grid.narrowest, width)
    lines = []
    for line in grid.lines:
        fitted = [
            text.rjust(size) if number else _cut(text, size).ljust(size)
            for text, size, number in zip(line, widths, grid.numeric, strict=True)
        ]
        lines.append("  ".join(fitted).rstrip())
    return "\n".join(lines)


def _shown(text: str, numeric: bool) -> str:
    """A cell as people read it: six digits of a fraction."""
    number = as_number(text) if numeric else None
    return text if number is None or number.is_integer() else f"{number:.6g}"


@dataclass(frozen=True)
class _Grid:
    """Rows that are ready to be aligned.

    Attributes:
        lines: the cells as text, the headings first.
        numeric: of each column, whether it holds numbers.
        widths: of each column, its width, characters.
        narrowest: of each column, the width down to which it may be shortened.
    """

    lines: list[list[str]]
    numeric: list[bool]
    widths: list[int]
    narrowest: list[int]


def _grid(rows: Sequence[Row], columns: Sequence[str], names: Names) -> _Grid:
    numeric = [
        all(as_number(row[name]) is not None for row in rows if row[name]) for name in columns
    ]
    lines = [[names.get(name, name) for name in columns]]
    lines += [
        [_shown(row[name], number) for name, number in zip(columns, numeric, strict=True)]
        for row in rows
    ]
    cells = list(zip(*lines, strict=True))
    widths = [max(map(len, column)) for column in cells]
    narrowest = [
        width if number else min(width, max(LEAST, len(column[0]), _distinct(column[1:])))
        for column, number, width in zip(cells, numeric, widths, strict=True)
    ]
    return _Grid(lines, numeric, widths, narrowest)


def _distinct(cells: Sequence[str]) -> int:
    """The smallest size at which no two different cells are cut to the same text."""
    different = set(cells)
    size = 1
    while len({_cut(cell, size) for cell in different}) < len(different):
        size += 1
    return size


def _kinds(rows: Sequence[Row], columns: Sequence[str]) -> int:
    """How many rows can be told apart by anything but their value."""
    told = [name for name in columns if name != "value"]
    return len({tuple(row[name] for name in told) for row in rows})


def _shorten(widths: list[int], narrowest: Sequence[int], width: int) -> None:
    """Takes characters from the widest columns that may be shortened until a line fits."""
    while sum(widths) + 2 * (len(widths) - 1) > width:
        wide = [i for i, size in enumerate(widths) if size > narrowest[i]]
        if not wide:
            return
        widths[max(wide, key=lambda i: widths[i])] -= 1


def _cut(text: str, size: int) -> str:
    """Text in so many characters; what identifies a name is often at its end, so both ends stay."""
    if len(text) <= size:
        return text
    kept = size - 1
    return f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"
