"""The plan against runs that were measured: within a factor of two, stage by stage.

The seconds are those of Snakemake's `benchmarks/` of two runs on two cores of a 2.8 GHz Xeon (Ice
Lake, no GPU), summed over the jobs of each stage: `make demo`, two jobs of one thread at once, and
`make imagenet-shape`, one job of two threads at a time. No finished run corrects the estimates, and
the CPU's speed is the table's: nothing is measured here. The stage `codebook` was measured later,
by itself: the median of three jobs.
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
    "shards": 3.6, "encoder": 37.5, "features": 7.8, "codebook": 3.4, "autoencoder": 73.4,
    "tokens": 31.2, "stage1": 180.8, "stage2": 146.2, "sampling": 65.1, "samples": 10.4,
    "extractor": 16.1, "evaluation": 53.1, "reconstruction": 7.8, "probe": 23.2, "stability": 17.5,
    "tables": 0.6, "figures": 6.9,
}  # fmt: skip
DEMO_TOTAL = 360
"""From the first job's start to the last one's end, without the stage `usage`."""

REHEARSAL = {
    "features": 19.3, "codebook": 5.4, "tokens": 158.5, "stage1": 98.9, "stage2": 91.4,
    "sampling": 178.4, "samples": 6.1, "evaluation": 45.8, "reconstruction": 53.1, "probe": 12.8,
    "stability": 19.8, "figures": 5.1,
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
