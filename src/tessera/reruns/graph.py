"""The jobs that Snakemake would run, asked of Snakemake itself: its graph of a dry run."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tessera.config import guard
from tessera.config.jobs import Planned
from tessera.errors import UserError

SNAKEFILE = Path("Snakefile")


@dataclass(frozen=True)
class Due:
    """A job that would run.

    Attributes:
        job: the job.
        missing: files of it that are not there.
        unmade: none of its files is there.
        newer: files that it reads that changed after its own were made.
        after: cards of the jobs that would run and that it reads from.
    """

    job: Planned
    missing: tuple[str, ...]
    unmade: bool
    newer: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True)
class Graph:
    """The jobs of some targets.

    Attributes:
        count: all of them, those that are up to date too.
        due: those that would run, each after those that it reads from.
    """

    count: int
    due: tuple[Due, ...]


def graph(
    planned: Sequence[Planned], configfiles: Sequence[str] = (), targets: Sequence[str] = ()
) -> Graph:
    """What Snakemake would run for some targets; nothing is run, and no lock is taken.

    Args:
        planned: all jobs of the config.
        configfiles: the files of `--configfile`.
        targets: files to make; none: everything.

    Raises:
        UserError: there is no Snakefile in this folder, no rule makes a target, or the config is
            wrong.
    """
    from snakemake.api import SnakemakeApi
    from snakemake.exceptions import MissingRuleException, WorkflowError
    from snakemake.settings import types

    if not SNAKEFILE.is_file():
        raise UserError(f"{SNAKEFILE} is not in this folder: change to the checkout")
    output = types.OutputSettings(quiet={types.Quietness.ALL}, dryrun=True)
    triggers = frozenset({types.RerunTrigger.MTIME, types.RerunTrigger.PARAMS})
    try:
        with _quiet(), SnakemakeApi(output) as api:
            made = api.workflow(
                resource_settings=types.ResourceSettings(cores=1),
                config_settings=types.ConfigSettings(configfiles=tuple(map(Path, configfiles))),
                snakefile=SNAKEFILE,
            )
            made.dag(types.DAGSettings(targets=frozenset(targets), rerun_triggers=triggers))
            # The two steps that each of Snakemake's commands begins with.
            workflow = made._workflow
            workflow._prepare_dag(forceall=False, ignore_incomplete=True, lock_warn_only=True)
            workflow._build_dag()
            return read(workflow.dag, planned)
    except MissingRuleException as error:
        raise UserError(
            f"{' '.join(targets)}: no file, variant or rule of this config is called so: see "
            "`tessera check` for its variants"
        ) from error
    except WorkflowError as error:
        raise UserError(str(error)) from error


def read(dag: Any, planned: Sequence[Planned]) -> Graph:
    """Snakemake's graph, its jobs known by their cards; the rule `all` has none.

    Args:
        dag: Snakemake's graph.
        planned: all jobs of the config.
    """
    by_card = {job.card: job for job in planned}
    order = list(by_card)
    jobs = [job for job in dag.jobs if "card" in job.output.keys()]  # noqa: SIM118
    due = {job.output.card: job for job in jobs if dag.needrun(job)}
    found = {}
    for card, job in due.items():
        missing = tuple(str(file) for file in job.output if not os.path.exists(file))
        found[card] = Due(
            by_card[card],
            missing,
            len(missing) == len(job.output),
            tuple(sorted(map(str, dag.reason(job).updated_input))),
            tuple(
                sorted(
                    {str(below.output.card) for below in dag.dependencies[job]} & due.keys(),
                    key=order.index,
                )
            ),
        )
    return Graph(len(jobs), tuple(found[card] for card in order if card in found))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences Snakemake, and forgets the guard that its Snakefile sets for a launch."""
    logger = logging.getLogger("snakemake.logging")
    disabled, launched = logger.disabled, os.environ.get(guard.VARIABLE)
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = disabled
        if launched is None:
            os.environ.pop(guard.VARIABLE, None)
