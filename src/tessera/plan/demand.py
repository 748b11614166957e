"""What a job asks of a scheduler."""

from collections.abc import Mapping
from dataclasses import dataclass

from tessera.config.schema import Config


@dataclass(frozen=True)
class Demand:
    """What a job asks for.

    Attributes:
        memory_mb: host memory, MB.
        runtime_minutes: time limit.
    """

    memory_mb: int
    runtime_minutes: int


def demand(config: Config, stage: str, wildcards: Mapping[str, str]) -> Demand:
    """What one job asks for.

    Args:
        config: the validated config.
        stage: the job's stage.
        wildcards: what tells the job from others of its rule, such as `stage1`, `part`, `parts`.
    """
    execution = config.execute(stage)
    return Demand(execution.memory_mb or 2000, execution.runtime_minutes or 60)
