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
    "shards": 2.0, "published": 1.2, "encoder": 4.0, "features": 6.0, "codebook": 2.8,
    "autoencoder": 4.0, "tokens": 6.0, "usage": 2.5, "stage1": 4.0, "stage2": 4.0, "sampling": 6.0,
    "samples": 1.6, "extractor": 6.0, "evaluation": 6.5, "neighbours": 6.5,
    "reconstruction": 6.5, "probe": 7.0, "stability": 6.0, "projections": 1.0, "patches": 1.5,
    "tables": 0.6, "figures": 6.5, "index": 0.9,
}  # fmt: skip
"""Seconds from a job's start to its first work, and from its last to its end: the interpreter, the
imports, models and cards. Of a 2.8 GHz Xeon: the smallest jobs of each stage, less their work."""


def cost(config: Config, task: Task) -> Cost:
    """What one job costs."""
    return replace(COSTS[task.stage](config, task), start=START[task.stage])
