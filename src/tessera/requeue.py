"""A training that SLURM warns of its time limit puts its job back into the queue.

The job keeps its number, so the Snakemake that waits for it notices nothing, and none of its
retries is used up.
"""

import logging
import os
import subprocess

log = logging.getLogger("tessera")


def requeue() -> bool:
    """Requeues the SLURM job of this process; to be called once its state is saved.

    Only a job of Snakemake's SLURM executor, which runs one rule, and only while it is running: a
    job that was cancelled, ran into its limit or is requeued by SLURM itself is completing.

    Returns:
        Whether it was requeued. SLURM then ends what is left of its processes.
    """
    job = _job()
    if job is None:
        return False
    state, _, comment = _run("squeue", "--noheader", "--jobs", job, "--format=%T|%k").partition("|")
    # The executor writes the rule into the comment of its jobs.
    if state != "RUNNING" or not comment.startswith("rule_"):
        return False
    if _run("scontrol", "requeue", job, told="ok") != "ok":
        return False
    log.info("the SLURM job %s is in the queue again and goes on from there", job)
    return True


def _job() -> str | None:
    """The job, or the task of a job array: the number of the array alone would mean all tasks."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    if array:
        return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    return os.environ.get("SLURM_JOB_ID")


def _run(*command: str, told: str | None = None) -> str:
    """What a command of SLURM prints, or `told` where it succeeds; empty where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        stderr = getattr(error, "stderr", None)
        log.warning("%s failed (%s)", command[0], (stderr or str(error)).strip())
        return ""
    return told if told is not None else done.stdout.strip()
