"""`tessera results`: the numbers of a finished run, in the terminal."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tessera.commands.shared import config_files, with_config
from tessera.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tessera.commands.shared import Commands
    from tessera.report.query import Row
    from tessera.report.terminal import Names

ASKED_ONLY = ("card",)
"""Columns that are shown where they are asked for: a path says little and takes half a line."""


def add(commands: "Commands") -> None:
    """Adds the parser of `tessera results`."""
    one = commands.add_parser(
        "results", parents=[with_config()], help="print the numbers of a finished run",
        description="Prints rows of tables/results.csv, which has a number a row.",
    )  # fmt: skip
    one.add_argument(
        "--filter", nargs="+", action="extend", default=[], metavar="CONDITION",
        help="rows to show: 'stage=evaluation', 'variant=digits/*', 'metric~FD', 'value<1'; rows "
        "must fit all that are given. = and != know the wildcards * and ?, ~ is `contains`",
    )  # fmt: skip
    one.add_argument(
        "--columns",
        nargs="+",
        metavar="COLUMN",
        help="columns to show (default: those with values)",
    )
    one.add_argument("--sort", metavar="COLUMN", help="sort by a column")
    one.add_argument("--reverse", action="store_true", help="sort the other way round")
    one.add_argument("--csv", action="store_true", help="print CSV, with all digits, for programs")
    one.set_defaults(work=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints the rows that fit."""
    import sys

    from tessera.config.load import load
    from tessera.report.query import find_column, parse_filter, read_rows, shortest_name, sort_rows

    file = Path(load(config_files(arguments.configfile)).results) / "tables" / "results.csv"
    columns, rows = read_rows(file)
    filters = [parse_filter(text, columns) for text in arguments.filter]
    found: Sequence[Row] = [row for row in rows if all(one.keeps(row) for one in filters)]
    if arguments.sort is not None:
        found = sort_rows(found, find_column(arguments.sort, columns, "--sort"), arguments.reverse)
    elif arguments.reverse:
        raise UserError("--reverse is for --sort: name a column to sort by")
    if arguments.columns is not None:
        shown = [find_column(name, columns, "--columns") for name in arguments.columns]
    elif arguments.csv:
        shown = columns
    else:
        filled = {name for name in columns if any(row[name] for row in found)}
        shown = [name for name in columns if name in filled and name not in ASKED_ONLY]
    if not found:
        raise UserError(f"none of the {len(rows):,} rows of {file} fits all of --filter")
    names = {name: shortest_name(name, columns) for name in shown}
    fit: Sequence[str] = shown
    try:
        if arguments.csv:
            write_csv(found, shown)
        else:
            fit = write_lines(found, shown, names, arguments.columns is None)
        sys.stdout.flush()
    except BrokenPipeError:
        raise  # `tessera results | head`, which is no mistake
    except OSError as error:
        # What is left in the buffer would fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise UserError(
            f"the numbers cannot be written to where the output goes ({error.strerror}): make room "
            "there, or send them elsewhere"
        ) from error
    if not arguments.csv:
        print(f"{len(found):,} of {len(rows):,} rows of {file}", file=sys.stderr)
    if left_out := ", ".join(names[name] for name in shown if name not in fit):
        print(f"too narrow for {left_out}: --columns shows what it names", file=sys.stderr)
    return 0


def write_lines(
    rows: "Sequence[Row]", shown: "Sequence[str]", names: "Names", choose: bool
) -> "Sequence[str]":
    """Prints rows for people to read.

    Args:
        rows: what to print.
        shown: the columns to print.
        names: their headings.
        choose: whether columns that do not fit into a narrow terminal may be left out.

    Returns:
        The columns that were printed.
    """
    import shutil
    import sys

    from tessera.report.terminal import fitting, layout

    # A pipe has no width.
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    if choose and width is not None:
        shown = fitting(rows, shown, width, names)
    print(layout(rows, shown, width, names))
    return shown


def write_csv(rows: "Sequence[Row]", columns: "Sequence[str]") -> None:
    """Prints rows as CSV."""
    import csv
    import sys

    writer = csv.DictWriter(sys.stdout, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
