"""What the jobs of a stage that is split into parts ask of a scheduler: all of them the same.

SLURM gives every task of a job array what the first one asks for, and which is first is chance.
"""

from tessera.config.jobs import places
from tessera.config.schema import Config
from tessera.plan.demand import Demand, demand


def demand_of_parts(config: Config, stage: str) -> Demand:
    """The most memory and time that any job of a stage asks for.

    Args:
        config: the validated config.
        stage: one of `tessera.config.jobs.PARTED`, of which the config has jobs.
    """
    asked = []
    for job in places(config):
        if job.stage == stage:
            # The wildcard of a variant has the name of its stage.
            wildcards = {stage: job.name, "part": f"{job.part:04d}", "parts": f"{job.parts:04d}"}
            if job.split is not None:
                wildcards["split"] = job.split
            asked.append(demand(config, stage, wildcards))
    memory = max(each.memory_mb for each in asked)
    return Demand(memory, max(each.runtime_minutes for each in asked))
