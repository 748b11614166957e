"""The real Snakefile and rules on stubs that write true cards: what is made again after a fault."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tessera.config import guard
from tessera.config.load import load
from tessera.report.outputs import figure_files, figure_names, table_files, table_names

HERE = Path(__file__).parent
REPO = HERE.parents[1]


@dataclass(frozen=True)
class Started:
    """A process that may be killed; its jobs may outlive it."""

    process: subprocess.Popen[bytes]
    log: Path

    def wait(self, status: int = 0) -> str:
        """Waits for the end, which must be of this status; returns what was printed."""
        assert self.process.wait(timeout=120) == status, self.log.read_text()
        return self.log.read_text()

    def until(self, happens: Callable[[], bool]) -> None:
        """Waits until something happens while the process runs."""
        deadline = time.monotonic() + 100
        while not happens():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)


@dataclass(frozen=True)
class Workflow:
    """A folder that holds a copy of the workflow."""

    folder: Path

    @property
    def results(self) -> Path:
        return self.folder / "results"

    @property
    def environment(self) -> dict[str, str]:
        """That of the jobs: their `python` is the stub."""
        kept = {name: value for name, value in os.environ.items() if name != guard.VARIABLE}
        return kept | {
            "PATH": f"{HERE / 'stub'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(REPO / "src"),
            "STUB_PYTHON": sys.executable,
        }

    def start(self, *arguments: str, **variables: str) -> "Started":
        """Starts Snakemake in a process group of its own."""
        return self._start(["snakemake", *arguments], variables)

    def run(self, *arguments: str) -> str:
        """Runs Snakemake to its end, which must be a success; returns what it printed."""
        return self.start(*arguments).wait()

    def tessera(self, *arguments: str, status: int = 0, **variables: str) -> str:
        """Runs a command of tessera; returns what it printed."""
        return self._start(["tessera.cli", *arguments], variables).wait(status)

    def _start(self, words: list[str], variables: dict[str, str]) -> "Started":
        handle, name = tempfile.mkstemp(dir=self.folder.parent, suffix=".log")
        process = subprocess.Popen(
            [sys.executable, "-m", *words], cwd=self.folder, env=self.environment | variables,
            stdout=handle, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        os.close(handle)
        return Started(process, Path(name))

    def forget_runs(self) -> None:
        """Empties the list of the jobs that ran."""
        (self.folder / "runs.txt").unlink(missing_ok=True)

    @property
    def runs(self) -> list[str]:
        """The cards of the jobs that ran, sorted; one comes twice whose job ran twice."""
        file = self.folder / "runs.txt"
        lines = file.read_text().splitlines() if file.exists() else []
        return sorted(line.removeprefix("results/") for line in lines)

    def contents(self) -> dict[str, str]:
        """Every file that is a result, by the SHA-256 of its bytes; cards by their digest."""
        found = {}
        for path in sorted(self.results.rglob("*")):
            name = path.relative_to(self.results).as_posix()
            kind = name.partition("/")[0]
            hidden = path.name.startswith(".")
            if path.is_file() and not hidden and kind not in ("logs", "benchmarks", "damaged"):
                data = path.read_bytes()
                if path.suffix == ".json" and b'"digest"' in data:
                    data = data.partition(b'"run"')[0]  # the time of day is no result
                found[name] = hashlib.sha256(data).hexdigest()
        return found


def copy_workflow(folder: Path) -> Workflow:
    """Copies what a checkout runs from, with the config of these tests."""
    for name in ("rules", "profiles", "envs"):
        shutil.copytree(REPO / name, folder / name)
    shutil.copy(REPO / "Snakefile", folder)
    shutil.copy(HERE / "config.yaml", folder)
    config = load([folder / "config.yaml"])
    names = {
        "tables": [file for name in table_names(config) for file in table_files(name)],
        "figures": [file for name in figure_names(config) for file in figure_files(name)],
    }
    for stage, files in names.items():  # which no command line names
        text = "\n".join(f"{config.results}/{stage}/{file}" for file in files)
        (folder / f"{stage}.files").write_text(text)
    return Workflow(folder)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """A workflow whose jobs have all run; tests must leave it as it is."""
    workflow = copy_workflow(tmp_path_factory.mktemp("undisturbed"))
    workflow.run()
    return workflow


@pytest.fixture
def finished(undisturbed: Workflow, tmp_path: Path) -> Workflow:
    """A copy of the finished workflow, to be damaged; times and Snakemake's records are kept."""
    shutil.copytree(undisturbed.folder, tmp_path / "finished")
    copy = Workflow(tmp_path / "finished")
    copy.forget_runs()
    return copy


@pytest.fixture
def fresh(tmp_path: Path) -> Workflow:
    """A workflow of which nothing has run."""
    return copy_workflow(tmp_path / "fresh")
