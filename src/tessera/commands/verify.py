"""`tessera verify`: whether the results are what their cards say."""

import argparse
import sys
from typing import TYPE_CHECKING

from tessera.commands.shared import config_files, with_config

if TYPE_CHECKING:
    from tessera.commands.shared import Commands
    from tessera.integrity.survey import Survey


def add(commands: "Commands") -> None:
    """Adds the parser of `tessera verify`."""
    one = commands.add_parser(
        "verify", parents=[with_config()], help="look for damaged results and for leftovers"
    )
    one.set_defaults(work=run)


def run(arguments: argparse.Namespace) -> int:
    """Reads all results and says what is damaged; changes nothing."""
    from tessera.config.load import load
    from tessera.integrity.survey import survey

    found = survey(load(config_files(arguments.configfile)), sys.stderr)
    show(found)
    if found.problems:
        print("`tessera repair` makes again what is damaged, and nothing else")
    return 1 if found.problems else 0


def show(found: "Survey") -> None:
    """Prints a line a problem, a line a leftover, and a summary."""
    from tessera.integrity.survey import age_text, size_text

    for problem in found.problems:
        print(problem)
    for leftover in found.leftovers:
        size, age = size_text(leftover.bytes), age_text(leftover.age)
        print(f"leftover: {leftover.path}, {leftover.what}: {size}, {age} old")
    spare = size_text(sum(leftover.bytes for leftover in found.leftovers))
    print(
        f"{len(found.cards)} cards, {found.files} files, {size_text(found.bytes)} read: "
        f"{len(found.problems)} problems, {len(found.leftovers)} leftovers ({spare})"
    )
