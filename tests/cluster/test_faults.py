"""What SLURM does to a training: it loses no more than the updates since its last state.

Each test lets stage 1 train again in a copy of the finished run, disturbs it, and compares what it
leaves with what the undisturbed one left.
"""

import os
import re
from pathlib import Path

import pytest
from tests.cluster.conftest import Workflow
from tests.cluster.slurm import Slurm
from tests.cluster.training import Training

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


@pytest.fixture
def training(slurm: Slurm, whole: Workflow, tmp_path: Path) -> Training:
    return Training(slurm, whole, tmp_path)


@pytest.fixture(scope="module", autouse=True)
def limited(slurm: Slurm, whole: Workflow, tmp_path_factory: pytest.TempPathFactory) -> Training:
    """A training with a time limit, which runs beside the first tests.

    SLURM looks at limits twice a minute: the warning comes 60 to 90 s after the start.
    """
    made = Training(slurm, whole, tmp_path_factory.mktemp("limited"))
    made.start(
        "--set-resources", "stage1:runtime=2", "stage1:slurm_extra='--signal=TERM@30'", seconds=2.5
    )
    return made


def test_cancelled_it_saves_and_the_next_run_goes_on(training):
    training.start("--retries", "0")
    training.wait_for_updates()
    training.slurm.ask("scancel", training.job)
    assert training.run.wait(timeout=120) != 0
    saved = re.search(r"saved after update (\d+) of 40", training.log)
    assert saved, training.log
    assert training.slurm.record(training.job)["JobState"] == "CANCELLED"  # and not requeued
    training.start(seconds=0)
    training.finish()
    assert training.resumed_at() == int(saved[1])


def test_out_of_memory_it_gets_twice_as_much(training):
    training.workflow.overlay({"execution": {"stage1": {"memory_mb": 600}}})
    training.start(seconds=0)
    training.finish()
    first, second = (training.slurm.record(job) for job in training.jobs)
    assert "exceeded memory limit" in Path(first["StdOut"]).read_text()
    assert (first["MinMemoryNode"], second["MinMemoryNode"]) == ("600M", "1200M")


def test_accounting_that_is_away_for_a_while_is_waited_for(training, tmp_path):
    """By default the plugin asks five times, then forgets its jobs and waits for ever."""
    away = tmp_path / "away"
    path = f"{Path(__file__).parent / 'accounting'}:{os.environ['PATH']}"
    training.start("--slurm-status-command", "sacct", PATH=path, ACCOUNTING_AWAY=str(away))
    training.wait_for_updates()
    away.touch()
    training.slurm.wait_for(lambda: len(away.read_text().splitlines()) > 20, "failing queries")
    away.unlink()
    training.finish()
    assert training.jobs == [training.job]


def test_before_its_time_limit_a_training_saves_and_requeues_itself(limited):
    limited.wait_for_restart()
    limited.finish()
    assert limited.resumed_at() >= 1
    assert limited.jobs == [limited.job]  # no second attempt
    assert "rror" not in limited.workflow.printed()


def test_on_a_node_that_goes_down_it_moves_to_another(training):
    training.start()
    training.wait_for_updates()
    node = training.slurm.record(training.job)["NodeList"]
    training.slurm.ask("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    try:
        training.wait_for_restart()
        training.finish()
        record = training.slurm.record(training.job)
    finally:
        training.slurm.ask("scontrol", "update", f"nodename={node}", "state=resume")
    assert record["NodeList"] != node
    assert training.jobs == [training.job]
