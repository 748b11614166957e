"""`tessera explain`: which jobs would run, and why."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tessera.commands.shared import config_files, with_config

if TYPE_CHECKING:
    from tessera.commands.shared import Commands
    from tessera.config.jobs import Planned


def add(commands: "Commands") -> None:
    """Adds the parser of `tessera explain`."""
    one = commands.add_parser(
        "explain", parents=[with_config()], help="say which jobs would run, and why"
    )
    one.add_argument(
        "target",
        nargs="?",
        help="a file, a variant (stage1.gpt), a job (tokens/codes/train) or a rule; "
        "none: everything",
    )
    one.set_defaults(work=run)


def run(arguments: argparse.Namespace) -> int:
    """Says which jobs would run, and why."""
    from tessera.config.jobs import jobs
    from tessera.config.load import load
    from tessera.reruns.causes import reasons
    from tessera.reruns.graph import graph
    from tessera.reruns.outdated import read_cards
    from tessera.reruns.words import answer

    config = load(config_files(arguments.configfile))
    planned = jobs(config)
    targets = () if arguments.target is None else targets_of(planned, arguments.target)
    found = graph(planned, arguments.configfile, targets)
    why = reasons(config, planned, read_cards(planned), found.due)
    print(answer(found.count, planned, why))
    return 0


def targets_of(planned: "Sequence[Planned]", asked: str) -> list[str]:
    """The files that stand for a target: the cards of a variant's, a job's or a rule's jobs.

    Args:
        planned: all jobs of the config.
        asked: the target; one that is no variant, job or rule is taken for a file.
    """
    return [
        job.card
        for job in planned
        if asked in (f"{job.section}.{job.name}", job.stage)
        or f"{job.label}/".startswith(f"{asked}/")
    ] or [asked]
