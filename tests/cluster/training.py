"""A training that runs on SLURM, slowly enough to be disturbed in the middle."""

import re
from pathlib import Path

from tests.cluster.conftest import Workflow
from tests.cluster.slurm import Slurm

CARD = "stage1/conditional/card.json"
WEIGHTS = "results/stage1/conditional/model.safetensors"
PACE = Path(__file__).parent / "pace"


class Training:
    """Stage 1 of a copy of the finished run, training on SLURM.

    Attributes:
        workflow: the copy.
        run: the Snakemake that waits for it.
        job: the id of its job.
    """

    def __init__(self, slurm: Slurm, whole: Workflow, folder: Path) -> None:
        self.slurm, self.whole = slurm, whole
        self.workflow = whole.without("stage1/conditional", folder / "run")
        self.pace = folder / "pace"

    def start(self, *arguments: str, seconds: float = 1, **variables: str) -> None:
        """Starts Snakemake; the training waits for so many seconds before each update."""
        self.pace.write_text(str(seconds))
        variables |= {
            "PACE": str(self.pace),
            "PYTHONPATH": f"{PACE}:{self.workflow.folder / 'src'}",
        }
        before = self.jobs
        self.run = self.workflow.start(f"results/{CARD}", *arguments, **variables)
        self.slurm.wait_for(lambda: len(self.jobs) > len(before), "job of stage1")
        self.job = self.jobs[-1]

    def finish(self) -> None:
        """Waits for the end, and compares with the undisturbed run."""
        self.finish_apart()
        # Of the settings, the inputs, the weights' bytes and all numbers.
        assert self.workflow.cards()[CARD]["digest"] == self.whole.cards()[CARD]["digest"]

    def finish_apart(self) -> None:
        """Waits for the end."""
        self.pace.write_text("0")
        self.workflow.finish(self.run)

    @property
    def jobs(self) -> list[str]:
        """The jobs of this training, of all its runs and attempts."""
        return self.slurm.jobs(self.workflow.folder, "stage1")

    @property
    def log(self) -> str:
        """What the present attempt has said so far."""
        file = self.workflow.folder / "results" / "logs" / "stage1" / "conditional.log"
        return file.read_text() if file.exists() else ""

    def wait_for_updates(self) -> None:
        self.slurm.wait_for(lambda: "update 4 of" in self.log, "fourth update")

    def wait_for_restart(self) -> None:
        self.slurm.wait_for(lambda: self.slurm.record(self.job)["Restarts"] != "0", "requeue")

    def resumed_at(self) -> int:
        """The update from which the last attempt went on."""
        found = re.search(r"going on from update (\d+) of", self.log)
        assert found, self.log
        return int(found[1])
