"""What jobs ask of a scheduler."""

import math
from pathlib import Path

import pytest
import yaml

from tessera.config.load import load
from tessera.config.schema import Config
from tessera.plan import demand as module
from tessera.plan.demand import CHECKPOINTED, LEAST_MINUTES, Demand, demand
from tessera.plan.estimate import Planner
from tessera.plan.tasks import task_of

REPO = Path(__file__).parents[3]
NOWHERE = {"results": "there-is-no-such-folder"}
GPU = {"execution": {"default": {"gpus": 1, "threads": 8}, "stage1": {"micro_batch": 64}}}


@pytest.fixture(autouse=True)
def _away(tmp_path, monkeypatch):
    """No results are found."""
    monkeypatch.chdir(tmp_path)
    module._planners.clear()


def default(**execution) -> Config:
    config = load([REPO / "config.yaml"])
    return Config.model_validate(config.model_dump() | {"execution": execution})


def test_what_the_config_says_counts():
    """Both, or either."""
    config = default(stage1={"memory_mb": 4321, "runtime_minutes": 77}, stage2={"memory_mb": 555})
    wildcards = {"stage1": "conditional"}
    assert demand(config, "stage1", wildcards) == Demand(4321, 77)
    found = demand(config, "stage2", {"stage2": "masked"})
    assert found.memory_mb == 555
    assert found.runtime_minutes >= LEAST_MINUTES


def test_three_times_the_estimate():
    """And a third more memory, in hundreds of MB."""
    config = load([REPO / "configs/imagenet-digit-base-uncond.yaml"])
    config = Config.model_validate(config.model_dump() | NOWHERE | GPU)
    wildcards = {"tokens": "codes", "split": "train", "part": "0000", "parts": "0032"}
    config = config.model_copy(update={"device": "h100"})
    expected = Planner(config).estimate(task_of(config, "tokens", wildcards))
    found = demand(config, "tokens", wildcards)
    assert found.runtime_minutes == math.ceil(3 * expected.seconds / 60)
    assert found.memory_mb % 100 == 0
    assert 1.3 * expected.host_memory < 1e6 * found.memory_mb < 1.3 * expected.host_memory + 401e6


def test_no_request_beyond_a_week():
    """No partition would take it; a training goes on from its checkpoint."""
    config = load([REPO / "configs/imagenet-digit-large-uncond.yaml"])
    config = Config.model_validate(config.model_dump() | NOWHERE | GPU)
    found = demand(config, "stage1", {"stage1": "uncond_large"})
    assert found.runtime_minutes == 7 * 24 * 60


def test_no_more_time_than_a_partition_allows():
    """A stage's own limit goes before the one of all; what takes less asks for no more."""
    config = load([REPO / "configs/imagenet-digit-large-uncond.yaml"])
    execution = {
        "default": {"gpus": 1, "threads": 8, "max_runtime_minutes": 1440},
        "stage2": {"max_runtime_minutes": 20_000},
        "probe": {"runtime_minutes": 3000},
        "samples": {"max_runtime_minutes": 3},
    }
    config = Config.model_validate(config.model_dump() | NOWHERE | {"execution": execution})
    for stage, wildcards, minutes in (
        ("stage1", {"stage1": "uncond_large"}, 1440),
        ("stage2", {"stage2": "autoregressive_large"}, 20_000),
        ("probe", {"probe": "linear_large", "stage1": "uncond_large"}, 3000),
        ("samples", {"sampling": "uncond_large_ar"}, 3),
        ("figures", {}, LEAST_MINUTES),
    ):
        assert demand(config, stage, wildcards).runtime_minutes == minutes, stage


def test_what_goes_on_is_warned():
    """The stages that SLURM signals before their time limit, by the profile."""
    profile = yaml.safe_load((REPO / "profiles/slurm/config.yaml").read_text())
    warned = {
        stage
        for stage, entry in profile["set-resources"].items()
        if "--signal" in entry.get("slurm_extra", "")
    }
    assert warned == {*CHECKPOINTED}


MEASURED_MB = {
    ("shards", "data", "digits"): 205,
    ("encoder", "encoder", "dino"): 792,
    ("codebook", "codebook", "k128"): 650,
    ("autoencoder", "autoencoder", "vqgan"): 954,
    ("stage1", "stage1", "vq_conditional"): 787,
    ("stage2", "stage2", "masked"): 849,
    ("samples", "sampling", "conditional_ar"): 101,
    ("extractor", "extractor", "cnn"): 770,
    ("reconstruction", "reconstruction", "vqgan"): 836,
    ("stability", "stability", "noise"): 906,
    ("projections", "projections", "toy"): 54,
    ("patches", "patches", "semantic"): 107,
}
"""Peak memory on the cards of one run of the default experiment, MB."""


def test_measured_jobs_have_room():
    """What is asked for is above what was measured, by less than 1 GB."""
    config = default()
    for (stage, wildcard, name), measured in MEASURED_MB.items():
        asked = demand(config, stage, {wildcard: name}).memory_mb
        assert measured < asked < measured + 1000, stage


def test_a_config_is_planned_once(monkeypatch):
    """Hundreds of jobs ask."""
    config = default()
    made = []
    monkeypatch.setattr(module, "Planner", lambda config: made.append(1) or Planner(config))
    for _ in range(3):
        demand(config, "stage1", {"stage1": "conditional"})
    assert made == [1]
