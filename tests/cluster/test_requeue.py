"""A task of a job array requeues itself and not its siblings."""

import sys

import pytest
from tests.cluster.conftest import REPO
from tests.cluster.slurm import Slurm

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
TASK = """
import os, time
from tessera.requeue import requeue
if "SLURM_RESTART_COUNT" not in os.environ and os.environ["SLURM_ARRAY_TASK_ID"] == "2":
    assert requeue()
    time.sleep(60)  # until SLURM ends it
"""


def test_a_task_of_an_array_is_requeued_alone(slurm: Slurm, tmp_path):
    """The last task, whose job has the number of the whole array."""
    (tmp_path / "task.py").write_text(TASK)
    array = slurm.ask(
        *("sbatch", "--parsable", "--requeue", "--array=1-2", "--comment=rule_task"),
        *("--output", f"{tmp_path}/%a.log", "--chdir", str(tmp_path)),
        f"--wrap=PYTHONPATH={REPO / 'src'} {sys.executable} task.py",
    )
    tasks = (f"{array}_1", f"{array}_2")

    def states() -> list[str]:
        return [slurm.record(task).get("JobState", "") for task in tasks]

    slurm.wait_for(lambda: states() == ["COMPLETED", "COMPLETED"], "end of both tasks")
    assert [slurm.record(task)["Restarts"] == "0" for task in tasks] == [True, False]
