"""Snakemake itself is killed and started again: that just works, and nothing runs in vain."""

import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow

HELD = "codebooks/k8/card.json"
"""The job in the middle of which the controller is killed."""

TARGET = "results/stage1/cond/card.json"
"""What is asked for: half of the workflow is enough."""


def start_until_held(workflow, go: Path):
    """Starts Snakemake and waits until the job is running that waits for `go`."""
    controller = workflow.start(TARGET, STUB_HOLD=f"results/{HELD}:{go}")
    controller.until(lambda: HELD in workflow.runs)
    return controller


def assert_equal(workflow, undisturbed) -> None:
    """All that was asked for is there, and as in a run that nobody disturbed."""
    found, whole = workflow.contents(), undisturbed.contents()
    assert f"{Path(TARGET).relative_to('results')}" in found
    assert found == {name: whole[name] for name in found}


def test_the_controller_and_its_jobs_are_killed(fresh, undisturbed, tmp_path):
    """As when a terminal is closed by force, or a node is switched off."""
    controller = start_until_held(fresh, tmp_path / "never")
    os.killpg(controller.process.pid, signal.SIGKILL)
    controller.wait(-signal.SIGKILL)
    done, before = set(fresh.contents()), Counter(fresh.runs)
    fresh.run(TARGET)
    assert_equal(fresh, undisturbed)
    again = Counter(fresh.runs) - before
    assert again[HELD] == 1
    assert not {card for card in again if card in done}  # what had its card is not made again
    assert "Nothing to be done" in fresh.run(TARGET, "-n")


def test_the_controller_alone_is_killed(fresh, undisturbed, tmp_path):
    """Its job lives on. The next controller waits for it, and takes its result."""
    go = tmp_path / "go"
    controller = start_until_held(fresh, go)
    os.kill(controller.process.pid, signal.SIGKILL)
    controller.wait(-signal.SIGKILL)
    second = fresh.start(TARGET)
    said = f"jobs of an earlier run still make results/{HELD}: waiting for them to end"
    second.until(lambda: said in second.log.read_text())
    assert not (fresh.results / HELD).exists()
    go.touch()
    second.wait()
    assert fresh.runs.count(HELD) == 1
    assert_equal(fresh, undisturbed)
    assert "Nothing to be done" in fresh.run(TARGET, "-n")


def test_a_job_that_ended_after_its_controller_is_done(fresh, undisturbed, tmp_path):
    """On a cluster jobs go on: started again, the controller takes their results as they are."""
    go = tmp_path / "go"
    controller = start_until_held(fresh, go)
    os.kill(controller.process.pid, signal.SIGKILL)
    controller.wait(-signal.SIGKILL)
    go.touch()
    deadline = time.monotonic() + 60
    while not (fresh.results / HELD).exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    fresh.run(TARGET)
    assert fresh.runs.count(HELD) == 1
    assert_equal(fresh, undisturbed)
