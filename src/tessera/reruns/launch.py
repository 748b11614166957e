"""What a launch adds to Snakemake's choice of jobs: the lock on the results, and what cards say.

What a file was made of Snakemake keeps in `.snakemake` of the folder that it was started in. That
is wrong as soon as another checkout works on the same results, or a cluster's job goes on after its
controller was killed: settings that changed go unnoticed, and finished results are made again. The
cards lie beside the results and are written last, so they take the place of three of its records:
settings, sets of inputs, and marks of unfinished files.

Both belong between the command line (a run, a dry run, a report?) and the graph (which files are
there, which jobs are needed?). Snakemake has no hook there: `onstart` comes after the graph, and
files given to `--forcerun` become targets even if a run asks for others. So the method that sets
up the graph is wrapped. `_prepare_dag` and `dag.forcefiles`, which Snakemake keeps to itself, are
those of version 9.27; tests/workflow fails where they are gone.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tessera.config.jobs import jobs, places
from tessera.config.schema import Config
from tessera.errors import UserError
from tessera.io.turns import is_held
from tessera.reruns.outdated import outdated, read_cards
from tessera.running import hold


def attend(workflow: Any, config: Config) -> None:
    """Lets a launch hold the lock of its results, and make those again whose cards are outdated.

    Does nothing in the processes that Snakemake starts for single jobs.

    Args:
        workflow: Snakemake's workflow, whose rules are being read.
        config: the validated config.

    Raises:
        WorkflowError: (when the graph is set up) another run works in the folder of results.
    """
    from snakemake.exceptions import WorkflowError
    from snakemake.logging import logger
    from snakemake.settings.types import RerunTrigger

    if not workflow.is_main_process:
        return
    prepare = workflow._prepare_dag

    def prepare_with_cards(**options: Any) -> None:
        # Only a run has these settings: no report, no --unlock, no `tessera explain`.
        if workflow.execution_settings is not None and not workflow.dryrun:
            try:
                held = hold(config.results)  # first, so that what is read next stays as it is
            except UserError as error:
                raise WorkflowError(str(error)) from None
            _wait_for_jobs([Path(place.card) for place in places(config)])
            # Snakemake's own lock would stay behind when this process is killed.
            options["nolock"] = options["nolock"] or held
        triggers = workflow.rerun_triggers
        if RerunTrigger.PARAMS not in triggers:  # whoever says so wants other settings to pass
            prepare(**options)
            return
        workflow.dag_settings.rerun_triggers = triggers - {RerunTrigger.PARAMS, RerunTrigger.INPUT}
        prepare(**options | {"ignore_incomplete": True})
        planned = jobs(config, strict=False)
        found = outdated(planned, read_cards(planned))
        workflow.dag.forcefiles.update(job.card for job in found)
        if found:
            count = "1 result was" if len(found) == 1 else f"{len(found)} results were"
            logger.info(f"{count} not made of what the config says: see `tessera explain`.")

    workflow._prepare_dag = prepare_with_cards


def _wait_for_jobs(cards: Sequence[Path]) -> None:
    """Waits for the jobs of an earlier run, whose controller was killed and which live on.

    Started a second time they would lose what they have written: Snakemake deletes the files of a
    job before it starts.
    """
    from snakemake.logging import logger

    said = False
    while running := [str(card) for card in cards if is_held(card)]:
        if not said:
            logger.info(
                f"jobs of an earlier run still make {', '.join(running)}: waiting for them to end"
            )
            said = True
        time.sleep(1)
