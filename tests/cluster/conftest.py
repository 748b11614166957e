"""A real SLURM for the session, and copies of the workflow that run on it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.slurm import Slurm, obstacle

from tessera.config import guard
from tessera.config.jobs import jobs
from tessera.config.load import load
from tessera.io.cards import read_card

HERE = Path(__file__).parent
REPO = HERE.parents[1]
CONFIGS = ("config.yaml", "reduced.yaml", "overlay.yaml")
# Without a database of accounting there is `squeue` alone to ask.
PROFILE = (
    *("--workflow-profile", "profiles/slurm"),
    *("--slurm-status-command", "squeue", "--max-status-checks-per-second", "10"),
)
STARTED: list[subprocess.Popen[str]] = []


@dataclass(frozen=True)
class Workflow:
    """A folder that holds a copy of the workflow and its results."""

    folder: Path

    def start(
        self, *arguments: str, profile: Sequence[str] = PROFILE, **variables: str
    ) -> subprocess.Popen[str]:
        """Starts Snakemake with the reduced experiment; what it prints goes to `run.log`.

        Args:
            arguments: of Snakemake's command.
            profile: further arguments, before these.
            variables: of its environment.
        """
        environment = {k: v for k, v in os.environ.items() if k != guard.VARIABLE}
        environment |= {"PYTHONPATH": str(self.folder / "src"), "OMP_NUM_THREADS": "1"} | variables
        command = [sys.executable, str(HERE / "snakemake_often.py"), *profile, *arguments]
        with (self.folder / "run.log").open("w") as log:
            started = subprocess.Popen(
                [*command, "--configfile", *CONFIGS[1:]],
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            )
        STARTED.append(started)
        return started

    def finish(self, process: subprocess.Popen[str], seconds: float = 600) -> str:
        """Waits for a run that is to succeed; returns what it printed."""
        status = process.wait(timeout=seconds)
        assert status == 0, self.printed()
        return self.printed()

    def printed(self) -> str:
        """What the last run printed."""
        return (self.folder / "run.log").read_text()

    def cards(self) -> dict[str, dict]:
        """Path below `results` → card, of all jobs that left one."""
        planned = jobs(load([self.folder / name for name in CONFIGS]))
        paths = [Path(job.card) for job in planned]
        made = [path for path in paths if (self.folder / path).exists()]
        return {str(path.relative_to("results")): read_card(self.folder / path) for path in made}

    def without(self, variant: str, folder: Path) -> "Workflow":
        """A copy in which one variant, such as `stage1/conditional`, has not been made."""
        shutil.copytree(self.folder, folder)
        shutil.rmtree(folder / "results" / variant)
        (folder / "results" / "logs" / f"{variant}.log").unlink()
        return Workflow(folder)

    def overlay(self, settings: dict[str, Any]) -> None:
        """Lays settings over the config of this copy."""
        (self.folder / "overlay.yaml").write_text(json.dumps(settings))


def new_workflow(folder: Path, settings: dict[str, Any] | None = None) -> Workflow:
    """Copies what a checkout runs from, with settings laid over the reduced experiment."""
    folder.mkdir()
    for name in ("src", "rules", "profiles", "envs", "configs"):
        shutil.copytree(REPO / name, folder / name)
    for file in (REPO / "Snakefile", REPO / "config.yaml", HERE / "reduced.yaml"):
        shutil.copy(file, folder)
    made = Workflow(folder)
    made.overlay(settings or {})
    return made


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """The running SLURM, or a skip that says why there is none."""
    reason = obstacle()
    if reason:
        pytest.skip(f"no SLURM for tests: {reason}")
    cluster = Slurm(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.start()
        yield cluster
    finally:
        for process in STARTED:
            process.kill()
            process.wait()
        cluster.stop()


@dataclass(frozen=True)
class TwoRuns:
    """Two runs at once.

    Attributes:
        whole: the whole experiment.
        gres: its first stages, with GPUs asked for by --gres and a user's own profile.
        moments: what `Slurm.devices` said, again and again.
    """

    whole: Workflow
    gres: Workflow
    moments: list[dict[str, list[str]]]


OWN_PROFILE = {
    "config.yaml": "default-resources: [slurm_account=lab]\n"
    "slurm-partition-config: own/partitions.yaml\n",
    "partitions.yaml": "partitions: {main: {max_runtime: 60}, gpus: {max_gpu: 8}}\n",
}


@pytest.fixture(scope="session")
def two_runs(slurm: Slurm, tmp_path_factory: pytest.TempPathFactory) -> TwoRuns:
    """Two runs at once."""
    folder = tmp_path_factory.mktemp("runs")
    whole = new_workflow(folder / "whole")
    gres = new_workflow(folder / "gres", {"execution": {"default": {"gres": "gpu"}}})
    (gres.folder / "own").mkdir()
    for name, text in OWN_PROFILE.items():
        (gres.folder / "own" / name).write_text(text)
    first = whole.start()
    second = gres.start("--profile", "own", "--until", "features")
    moments = []

    def both_end() -> bool:
        moments.append(slurm.devices())
        return first.poll() is not None and second.poll() is not None

    slurm.wait_for(both_end, "end of both runs", seconds=1200)
    whole.finish(first)
    gres.finish(second)
    return TwoRuns(whole, gres, moments)


@pytest.fixture(scope="session")
def whole(two_runs: TwoRuns) -> Workflow:
    """The undisturbed run of the whole experiment; tests copy it."""
    return two_runs.whole
