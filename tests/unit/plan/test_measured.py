"""The plan against runs that were measured: within a factor of two, stage by stage.

The seconds are those of Snakemake's `benchmarks/` of two runs on two cores of a 2.8 GHz Xeon (Ice
Lake, no GPU), summed over the jobs of each stage: `make demo`, two jobs of one thread at once, and
`make imagenet-shape`, one job of two threads at a time. No finished run corrects the estimates, and
the CPU's speed is the table's: nothing is measured here.
"""

import json
from collections import defaultdict
from pathlib import Path

import pytest

from tessera.config.load import load
from tessera.plan.estimate import Planner
from tessera.plan.table import plan

REPO = Path(__file__).parents[3]

DEMO = {
    "shards": 4.3, "encoder": 37.7, "features": 3.8, "codebook": 3.6, "autoencoder": 69.1,
    "tokens": 16.2, "stage1": 151.4, "stage2": 116.6, "sampling": 42.8, "samples": 11.4,
    "extractor": 11.0, "evaluation": 29.1, "reconstruction": 4.7, "probe": 13.3,
    "stability": 12.7, "tables": 1.1, "figures": 9.4,
}  # fmt: skip
DEMO_TOTAL = 281
"""From Snakemake's start to the last job's end."""

REHEARSAL = {
    "features": 14.9, "codebook": 6.4, "tokens": 131.3, "stage1": 54.1, "stage2": 51.6,
    "sampling": 138.9, "samples": 6.3, "evaluation": 30.9, "neighbours": 13.1,
    "reconstruction": 47.4, "probe": 9.3, "stability": 15.4, "figures": 10.7,
}  # fmt: skip
"""Without jobs of less than two seconds."""


def by_stage(planner: Planner) -> dict[str, float]:
    """Seconds of all jobs of each stage."""
    found: dict[str, float] = defaultdict(float)
    for task, _ in planner.tasks:
        found[task.stage] += planner.estimate(task).seconds
    return found


@pytest.fixture
def demo() -> Planner:
    return Planner(load([REPO / "configs" / "demo.yaml"]), corrected=False)


@pytest.mark.parametrize("stage", DEMO)
def test_the_default_experiment(demo: Planner, stage: str) -> None:
    """Each stage of `make demo`."""
    assert 0.5 < by_stage(demo)[stage] / DEMO[stage] < 2


def test_the_default_experiment_as_a_whole(demo: Planner) -> None:
    """What waits for what, on two cores."""
    total = plan(demo, cores=2, gpus=0, free=1e12).rows[-1]
    assert 0.5 < total.walltime_s / DEMO_TOTAL < 2


@pytest.mark.parametrize("stage", REHEARSAL)
def test_full_size_tensors(tmp_path, monkeypatch, stage: str) -> None:
    """A thousand times the work an image, with the same constants; its images are counted."""
    monkeypatch.chdir(tmp_path)
    config = load([REPO / "configs/imagenet-shape.yaml"])
    card = tmp_path / config.results / "shards/imagenet/card.json"
    card.parent.mkdir(parents=True)
    settings = config.data["imagenet"].model_dump(mode="json")
    results = {"train_images": 48, "validation_images": 16, "classes": 8}
    card.write_text(json.dumps({"node": {"settings": settings}, "results": results}))
    found = by_stage(Planner(config, corrected=False))
    assert 0.5 < found[stage] / REHEARSAL[stage] < 2
