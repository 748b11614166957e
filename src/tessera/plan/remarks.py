"""What a plan says beside its numbers: what will not fit, and what they rest on."""

from collections.abc import Sequence

from tessera.plan import models
from tessera.plan.cost import Task
from tessera.plan.demand import CHECKPOINTED, allowed_minutes
from tessera.plan.estimate import Estimate, Planner
from tessera.plan.images import images
from tessera.plan.units import seconds_shown


def warnings(
    planner: Planner, jobs: Sequence[tuple[Task, Estimate]], due: float, free: float
) -> list[str]:
    """What will not fit.

    Args:
        planner: estimated the jobs.
        jobs: those that are not finished.
        due: bytes on disk that they take.
        free: bytes that the disk of the results has free.
    """
    found = []
    for task, estimate in jobs:
        room = estimate.device.memory
        if room and estimate.gpu_memory > room:
            knob = "micro_batch" if task.stage in ("stage1", "stage2") else "batch"
            found.append(
                f"{task.stage} {task.name} takes about {estimate.gpu_memory / 1e9:.0f} GB of a GPU "
                f"and the {estimate.device.title} has {room / 1e9:.0f}: lower "
                f"`execution.{task.stage}.{knob}`"
            )
        execution = planner.config.execute(task.stage)
        asked = execution.memory_mb
        if asked is not None and estimate.host_memory > 1e6 * asked:
            found.append(
                f"{task.stage} {task.name} takes about {estimate.host_memory / 1e9:.1f} GB of "
                f"memory and `execution.{task.stage}.memory_mb` allows {asked / 1e3:.1f}: raise it "
                "or remove it"
            )
        found += _too_long(task, estimate.seconds, 60 * allowed_minutes(execution))
    if due > free:
        found.append(
            f"the results take about {due / 1e9:.0f} GB more and {free / 1e9:.0f} GB are free "
            f"where {planner.config.results} lies: free some, or set `results`"
        )
    return list(dict.fromkeys(found))


def _too_long(task: Task, seconds: float, allowed: float) -> list[str]:
    """What becomes of a job that a scheduler stops before its end; nothing where none does."""
    if seconds <= allowed:
        return []
    then = (
        "is stopped, requeued and goes on from its checkpoint"
        if task.stage in CHECKPOINTED
        else f"would be stopped and begin anew: raise `max_runtime_minutes` (or "
        f"`runtime_minutes`) of `execution.{task.stage}`, or give it more parts or a GPU"
    )
    return [
        f"{task.stage} {task.name} takes about {seconds_shown(seconds)} and asks a scheduler for "
        f"{seconds_shown(allowed)}: it {then}"
    ]


def assumed(planner: Planner) -> list[str]:
    """What the numbers rest on and nobody looked at."""
    found = []
    for name in planner.config.data:
        data = images(planner.config, name)
        if data.assumed:
            found.append(
                f"data.{name}: {data.train:,} + {data.validation:,} images of {data.classes:,} "
                f"classes are guessed by {data.assumed}; finished shards will tell"
            )
    found += models.guessed(planner.config)
    if any(row.gpus for row in planner.config.execution.values()):
        found.append(
            f"{planner.gpu.title}: its speed is arithmetic on data sheets until cards of finished "
            "jobs correct it"
        )
    return found
