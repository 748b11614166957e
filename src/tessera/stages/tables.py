"""Cards → tables: CSV for programs, Markdown, LaTeX, and HTML for the report.

Reads cards alone, so every number can be traced: each row names the card that it comes from.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tessera.config.load import load
from tessera.config.paper import Paper
from tessera.config.schema import Config
from tessera.io.files import write_text
from tessera.report.collection import Collection, collect, labels_of
from tessera.report.outputs import TABLES, table_files
from tessera.report.render import RENDER
from tessera.report.tables.build import build_tables
from tessera.stages.job import Job, log, parser, run

STAGE = "tables"


def work(job: Job) -> None:
    """Writes the tables that the cards give."""
    arguments = job.arguments
    cards = read_cards(job)
    folder = arguments.card.parent
    files = []
    for table in build_tables(cards):
        for file in table_files(table.name):
            path = folder / file
            write_text(path, RENDER[path.suffix[1:]](table))
            files.append(path)
        log.info("%s: %d rows", table.name, len(table.rows))
    remove_old(folder, [file for name in TABLES for file in table_files(name)], files)
    job.finish(arguments.card, files, {"cards": len(cards.cards), "files": len(files)})


def read_cards(job: Job) -> Collection:
    """The cards of the command line, with the names of the config where one is given."""
    arguments = job.arguments
    config = read_config(job) if arguments.config else None
    labels, points = (labels_of(config), config.points) if config else ({}, {})
    paper = Paper.model_validate(job.node["settings"].get("paper", {}))
    cards = collect(arguments.cards, arguments.card.parent.parent, labels, points, paper)
    job.record(cards.digests())
    return cards


def read_config(job: Job) -> Config:
    """The config of the command line."""
    return load(job.arguments.config, job.arguments.overrides)


def remove_old(folder: Path, known: Sequence[str], written: Sequence[Path]) -> None:
    """Removes what an earlier config gave and this one does not: it would look like a result."""
    kept = {path.name for path in written}
    for name in known:
        if name not in kept:
            (folder / name).unlink(missing_ok=True)


def card_parser(
    stage: str, description: str | None, titled: bool = False
) -> argparse.ArgumentParser:
    """The arguments of a stage that reads any cards; `titled` needs the config."""
    made = parser(stage, description)
    made.add_argument(
        "--cards", type=Path, nargs="+", required=True,
        help="cards to read; the first part of a split job stands for all its parts",
    )  # fmt: skip
    made.add_argument(
        "--config", type=Path, nargs="+" if titled else "*", default=[], required=titled,
        help="config files, for names and title",
    )  # fmt: skip
    made.add_argument(
        "--overrides", type=json.loads, default={}, help="settings laid over them, as JSON"
    )
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the stage from the command line."""
    return run(STAGE, card_parser(STAGE, __doc__).parse_args(argv), work, computes=False)


if __name__ == "__main__":
    sys.exit(main())
