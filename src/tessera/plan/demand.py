"""What a job asks of a scheduler, from what it is estimated to take."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tessera.config.schema import Config, Execution
from tessera.plan.estimate import Planner
from tessera.plan.tasks import task_of

MARGIN, CORRECTED_MARGIN = 3.0, 2.0
"""How much longer than estimated a job may take: where arithmetic alone says how long, and where
finished jobs of its stage confirm it."""
LEAST_MINUTES, MOST_MINUTES = 10, 7 * 24 * 60
"""No partition is likely to take more than a week; what yours takes, the config says."""
CHECKPOINTED = ("encoder", "autoencoder", "extractor", "stage1", "stage2", "probe")
"""Trainings: what a time limit stops is requeued and goes on. Jobs of other stages start anew."""
ROOM, ROOM_MB = 1.3, 300
"""Memory beyond the estimate: a share, for what allocators leave unused, and a little for all."""
LEAST_MB = 500


@dataclass(frozen=True)
class Demand:
    """What a job asks for.

    Attributes:
        memory_mb: host memory, MB.
        runtime_minutes: time limit.
    """

    memory_mb: int
    runtime_minutes: int


_planners: dict[int, Planner] = {}
"""By the config's identity: a config is loaded once a process, and asked for hundreds of jobs."""


def demand(config: Config, stage: str, wildcards: Mapping[str, str]) -> Demand:
    """What one job asks for: as configured, otherwise by its estimate.

    Args:
        config: the validated config.
        stage: the job's stage.
        wildcards: what tells the job from others of its rule, such as `stage1`, `part`, `parts`.
    """
    execution = config.execute(stage)
    memory, minutes = execution.memory_mb, execution.runtime_minutes
    if memory is not None and minutes is not None:
        return Demand(memory, minutes)
    planner = _planners.get(id(config))
    if planner is None or planner.config is not config:
        planner = _planners[id(config)] = Planner(config)
    found = planner.estimate(task_of(config, stage, wildcards))
    margin = CORRECTED_MARGIN if found.correction.cards else MARGIN
    computed = math.ceil((ROOM * found.host_memory / 1e6 + ROOM_MB) / 100) * 100
    time = math.ceil(margin * found.seconds / 60)
    return Demand(
        memory or max(LEAST_MB, computed),
        min(max(LEAST_MINUTES, time), allowed_minutes(execution)) if minutes is None else minutes,
    )


def allowed_minutes(execution: Execution) -> int:
    """The longest time that a stage's jobs ask for, whatever they are estimated to take."""
    return execution.runtime_minutes or execution.max_runtime_minutes or MOST_MINUTES
