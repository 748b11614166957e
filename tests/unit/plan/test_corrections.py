"""Cards of finished runs correct the estimates."""

import json
from pathlib import Path

import pytest
import yaml

from tessera.config.load import load
from tessera.config.schema import Config
from tessera.plan.corrections import IMPORTS, finished
from tessera.plan.cost import Task
from tessera.plan.estimate import Planner
from tessera.plan.tasks import tasks

REPO = Path(__file__).parents[3]
TASK = Task("stage1", "stage1", "conditional")
OTHER = Task("stage1", "stage1", "vq_conditional")


@pytest.fixture
def config(tmp_path, monkeypatch) -> Config:
    """The default experiment in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text((REPO / "config.yaml").read_text())
    return load(["config.yaml"])


def write_card(config: Config, task: Task, seconds: float, **run) -> None:
    """What a finished job leaves."""
    from tessera.config.resolve import node

    (card,) = (Path(card) for found, card in tasks(config) if found == task)
    card.parent.mkdir(parents=True, exist_ok=True)
    facts = {"seconds": seconds, "peak_memory_mb": 1234.0, "device": "cpu", "threads": 1} | run
    made = node(config, task.section, task.name)
    card.write_text(json.dumps({"node": made, "run": facts}))


def test_all_jobs_of_the_stage_are_corrected(config):
    """By what the finished one took; those of other stages stay."""
    plain = Planner(config, corrected=False)
    write_card(config, TASK, 2 * plain.estimate(TASK).seconds - IMPORTS)
    planner = Planner(config)
    for task in (TASK, OTHER):
        assert planner.estimate(task).seconds == pytest.approx(2 * plain.estimate(task).seconds)
    assert planner.estimate(TASK).host_memory == pytest.approx(1234e6)
    assert planner.estimate(TASK).correction.cards == 1
    untouched = Task("stage2", "stage2", "masked")
    assert planner.estimate(untouched) == plain.estimate(untouched)


def test_the_sum_of_several_counts(config):
    """Long jobs say more than short ones."""
    plain = Planner(config, corrected=False)
    first, second = (plain.estimate(task).seconds for task in (TASK, OTHER))
    write_card(config, TASK, first - IMPORTS)
    write_card(config, OTHER, 3 * second - IMPORTS)
    found = Planner(config).estimate(TASK).correction
    assert found.cards == 2
    assert found.seconds == pytest.approx((first + 3 * second) / (first + second))


@pytest.mark.parametrize("run", [{"device": "NVIDIA H100 80GB HBM3"}, {"resumed_at": 100}])
def test_what_does_not_count(config, run):
    """Another device; a training that was stopped on the way."""
    write_card(config, TASK, 1000.0, **run)
    assert Planner(config).estimate(TASK).correction.cards == 0


def test_gpus_are_known_by_their_names(config):
    """As torch calls them on cards."""
    raw = yaml.safe_load(Path("config.yaml").read_text())
    raw["execution"] = {"stage1": {"gpus": 1}}
    Path("config.yaml").write_text(yaml.safe_dump(raw))
    on_gpu = load(["config.yaml"])
    write_card(on_gpu, TASK, 1000.0, device="NVIDIA H100 80GB HBM3", gpus=["0"])
    assert Planner(on_gpu, "h100").estimate(TASK).correction.cards == 1
    assert Planner(on_gpu, "h200").estimate(TASK).correction.cards == 0


@pytest.mark.parametrize(
    ("execution", "run"),
    [
        ({"gpus": 8, "nodes": 2}, {"gpus": [str(i) for i in range(8)], "processes": 16}),
        ({"gpus": 8}, {"gpus": [str(i) for i in range(8)], "processes": 8}),
        ({"gpus": 8}, {"gpus": [str(i) for i in range(8)]}),
        ({"gpus": 1}, {"gpus": ["0"], "processes": 1}),
    ],
)
def test_all_gpus_of_all_nodes_count(config, execution, run):
    """A card lists the devices of its first node; a job that took its estimate corrects nothing."""
    raw = yaml.safe_load(Path("config.yaml").read_text())
    raw["execution"] = {"stage1": execution}
    Path("config.yaml").write_text(yaml.safe_dump(raw))
    on_gpus = load(["config.yaml"])
    estimated = Planner(on_gpus, "h100", corrected=False).estimate(TASK).seconds
    write_card(on_gpus, TASK, estimated - IMPORTS, device="NVIDIA H100 80GB HBM3", **run)
    found = Planner(on_gpus, "h100").estimate(TASK)
    assert found.correction.cards == 1
    assert found.seconds == pytest.approx(estimated)


def test_settings_that_changed_since(config):
    """Such a job is not finished, and its card says nothing."""
    write_card(config, TASK, 1000.0)
    (card,) = (card for task, card in tasks(config) if task == TASK)
    assert finished(config, TASK, card) is not None
    raw = yaml.safe_load(Path("config.yaml").read_text())
    raw["stage1"]["conditional"]["training"]["steps"] = 701
    Path("config.yaml").write_text(yaml.safe_dump(raw))
    changed = load(["config.yaml"])
    assert finished(changed, TASK, card) is None
    assert Planner(changed).estimate(TASK).correction.cards == 0
