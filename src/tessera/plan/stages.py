"""The cost of each stage's jobs."""

from collections.abc import Callable
from dataclasses import replace

from tessera.config.schema import Config
from tessera.plan import inference, others, trainings
from tessera.plan.cost import Cost, Task

COSTS: dict[str, Callable[[Config, Task], Cost]] = {
    "shards": others.shards,
    "published": others.published,
    "encoder": trainings.encoder,
    "features": inference.features,
    "codebook": others.codebook,
    "autoencoder": trainings.autoencoder,
    "tokens": inference.tokens,
    "usage": others.usage,
    "stage1": trainings.stage1,
    "stage2": trainings.stage2,
    "sampling": inference.sampling,
    "samples": others.samples,
    "extractor": trainings.extractor,
    "evaluation": inference.evaluation,
    "neighbours": inference.neighbours,
    "reconstruction": inference.reconstruction,
    "probe": trainings.probe,
    "stability": inference.stability,
    "projections": others.projections,
    "patches": others.patches,
    "tables": others.report,
    "figures": others.report,
    "index": others.report,
}

START = {
    "shards": 2.0, "published": 1.2, "encoder": 3.0, "features": 3.0, "codebook": 2.8,
    "autoencoder": 3.5, "tokens": 3.0, "usage": 1.0, "stage1": 3.0, "stage2": 3.0, "sampling": 2.6,
    "samples": 1.6, "extractor": 3.0, "evaluation": 3.6, "neighbours": 3.6,
    "reconstruction": 3.8, "probe": 3.0, "stability": 2.8, "projections": 1.0, "patches": 1.5,
    "tables": 1.0, "figures": 9.0, "index": 0.9,
}  # fmt: skip
"""Seconds from a job's start to its first work, and from its last to its end: the interpreter, the
imports, models and cards. Of a 2.8 GHz Xeon: the smallest jobs of each stage, less their work."""


def cost(config: Config, task: Task) -> Cost:
    """What one job costs."""
    return replace(COSTS[task.stage](config, task), start=START[task.stage])
