"""`tessera lock`: decisions about stages whose code changed."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tessera.errors import UserError

if TYPE_CHECKING:
    from tessera.commands.shared import Commands


def add(commands: "Commands") -> None:
    """Adds the parser of `tessera lock`."""
    one = commands.add_parser("lock", help="show or decide which stages' code changed")
    one.add_argument(
        "--accept", nargs="+", default=[], metavar="STAGE", help="same results: record the code"
    )
    one.add_argument(
        "--bump", nargs="+", default=[], metavar="STAGE", help="other results: raise the version"
    )
    one.set_defaults(work=run)


def run(arguments: argparse.Namespace) -> int:
    """Shows which stages' code moved, or records a decision about them."""
    from tessera.config.lock import read_lock, write_lock
    from tessera.config.schema import stages
    from tessera.decisions import find_moves, question, record
    from tessera.fingerprint import Package

    package, lock, known = Package(), read_lock(), stages()
    accept = _named(arguments.accept, known)
    bump = _named(arguments.bump, known)
    if both := [stage for stage in accept if stage in bump]:
        raise UserError(f"{both[0]} is both accepted and bumped: decide for one of them")
    try:
        if accept or bump:
            decided = record(package, lock, accept, bump)
            write_lock({stage: decided[stage] for stage in known if stage in decided})
            for stage in bump:
                print(f"{stage}: version {decided[stage]['version']}, will run again everywhere")
            for stage in accept:
                if decided[stage] != lock.get(stage):
                    print(f"{stage}: recorded, version {decided[stage]['version']} stays")
            return 0
        moves = find_moves(package, lock, known)
    except FileNotFoundError as error:
        raise UserError(f"a stage has no code ({error}): write it first") from error
    print(question(moves) if moves else f"the code of all {len(known)} stages is on record")
    return 1 if moves else 0


def _named(asked: Sequence[str], known: Sequence[str]) -> list[str]:
    """The stages that a command line names, `all` standing for every one."""
    for stage in asked:
        if stage != "all" and stage not in known:
            raise UserError(f"{stage!r} is no stage: choose of {', '.join(known)}, or all")
    return [stage for stage in known if stage in asked or "all" in asked]
