"""`tessera repair`: makes damaged results again, and nothing else."""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tessera.commands.shared import config_files, with_config
from tessera.commands.verify import show

if TYPE_CHECKING:
    from tessera.commands.shared import Commands
    from tessera.integrity.leftovers import Leftover
    from tessera.integrity.rebuild import Rebuild


def add(commands: "Commands") -> None:
    """Adds the parser of `tessera repair`."""
    one = commands.add_parser(
        "repair",
        parents=[with_config()],
        help="make damaged results again and remove leftovers",
        epilog="Give options of Snakemake after `--`, such as `-- --profile profiles/slurm`.",
    )
    one.add_argument("options", nargs="*", metavar="-- OPTION", help="passed on to Snakemake")
    one.set_defaults(work=run)


def run(arguments: argparse.Namespace) -> int:
    """Takes what is damaged out of the way and runs the jobs that make it.

    Returns:
        0 where all results are whole again, else 1.
    """
    from tessera.config.load import load
    from tessera.integrity.damaged import files_of, recall, remember, set_aside
    from tessera.integrity.rebuild import join, levels, plan_rebuilds
    from tessera.integrity.survey import survey
    from tessera.running import hold, release

    config = load(config_files(arguments.configfile))
    results = Path(config.results)
    hold(results)  # nothing may write while files are moved
    found = survey(config, sys.stderr)
    show(found)
    _remove([leftover for leftover in found.leftovers if leftover.removable])
    rebuilds, left = plan_rebuilds(found.problems, found.cards, found.planned)
    rebuilds = join(recall(results, found.planned), rebuilds)
    remember(rebuilds, results)
    again = {Path(rebuild.job.card) for rebuild in rebuilds}
    damaged = [problem.file for problem in found.problems if problem.card in {None, *again}]
    # Whole files of the same jobs too: the job may fail, and Snakemake deletes them before it.
    stored = {entry.path: entry for entry in found.cards}
    for card in dict.fromkeys(problem.card for problem in found.problems):
        if card in again:
            damaged += files_of(card, stored.get(card))
    for file, place in set_aside(dict.fromkeys(damaged), results):
        print(f"moved {file} to {place}")
    release(results)  # Snakemake takes it
    for sentence in left:
        print(sentence)
    for step in levels(rebuilds):
        _make(step, arguments)
        if not _settle(step, results):
            print("the rest is left as it is: mend what failed and run `tessera repair` again")
            return 1
        rebuilds = [rebuild for rebuild in rebuilds if rebuild not in step]
        remember(rebuilds, results)
    return 1 if left else 0


def _remove(leftovers: "Sequence[Leftover]") -> None:
    for leftover in leftovers:
        print(f"removed {leftover.path}")
        if leftover.path.is_dir():
            shutil.rmtree(leftover.path)
        else:
            leftover.path.unlink()


def _make(step: "Sequence[Rebuild]", arguments: argparse.Namespace) -> None:
    """Runs the jobs of one step; how they ended is seen from their files."""
    targets = []
    for rebuild in step:
        gone = [str(file) for file in rebuild.damaged if not file.exists()]
        targets += gone  # none where an earlier repair was cut off after its jobs
        if gone:
            took = "" if rebuild.seconds is None else f" (it took {rebuild.seconds:.0f} s)"
            print(f"making {rebuild.job.label} again{took}", flush=True)
    if targets:
        command = [sys.executable, "-m", "snakemake", *targets]
        if arguments.configfile:
            command += ["--configfile", *arguments.configfile]
        subprocess.run([*command, *arguments.options], check=False)


def _settle(step: "Sequence[Rebuild]", results: Path) -> bool:
    """Checks what a step made and puts back the times of what came out as before."""
    from tessera.integrity.checks import check_cards
    from tessera.integrity.inventory import find_cards, read_stored
    from tessera.integrity.rebuild import put_back_times

    cards, whole = find_cards(results), True
    for rebuild in step:
        made = read_stored(Path(rebuild.job.card))
        if made.content is None or check_cards([made], lambda size: None):
            print(f"{rebuild.job.label} was not made again")
            whole = False
            continue
        same = put_back_times(rebuild, made, cards)
        if same is False:
            print(
                f"{rebuild.job.label} did not come out as before: the next run makes again what "
                "stands below it (`tessera explain` lists it)"
            )
        else:
            print(f"{rebuild.job.label} is whole again")
    return whole
