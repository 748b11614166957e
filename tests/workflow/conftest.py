"""The real Snakefile and rules on stubs: a copy of the workflow whose `python` only makes files."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tessera.config import guard, lock, sources
from tessera.config.load import load, read_yaml
from tessera.report.outputs import figure_files, figure_names, table_files, table_names

HERE = Path(__file__).parent
REPO = HERE.parents[1]
STUB = HERE / "stub"


@dataclass(frozen=True)
class Workflow:
    """A folder that holds a copy of the workflow."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    @property
    def stub(self) -> Path:
        """The folder of the `python` that only makes files."""
        return STUB

    def run(
        self, *arguments: str, stub: Path = STUB, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs Snakemake's command on the stubs; returns its status and all that it printed."""
        variables = {
            "PATH": f"{stub}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(REPO / "src"),
            **variables,
        }
        environment = {k: v for k, v in os.environ.items() if k != guard.VARIABLE}
        return subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
            cwd=self.folder,
            env=environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )

    def jobs(self, configfiles: Sequence[Path] = ()) -> set[str]:
        """The jobs that a run would start, as `rule/wildcard/…`, without the rule `all`.

        The dry run happens in this process: half a second instead of three.
        """
        # Imported here: only these tests need Snakemake, and it takes a second.
        from snakemake.api import SnakemakeApi
        from snakemake.settings import types

        os.environ.pop(guard.VARIABLE, None)
        lock.stage_versions.cache_clear()
        sources.fingerprint.cache_clear()
        quiet = {types.Quietness.ALL}
        triggers = [types.RerunTrigger.parse_choice(name) for name in self.triggers()]
        with SnakemakeApi(types.OutputSettings(quiet=quiet, dryrun=True)) as api:
            workflow = api.workflow(
                resource_settings=types.ResourceSettings(cores=1),
                config_settings=types.ConfigSettings(configfiles=tuple(configfiles)),
                snakefile=self.folder / "Snakefile",
                workdir=self.folder,
            )
            dag = workflow.dag(types.DAGSettings(rerun_triggers=frozenset(triggers)))
            dag.list_changes(types.ChangeType.PARAMS)  # builds the graph and starts nothing
            jobs = list(workflow._workflow.dag.needrun_jobs(exclude_finished=False))
        os.environ.pop(guard.VARIABLE, None)
        return {_label(job) for job in jobs} - {"all"}

    @staticmethod
    def bump(stage: str) -> None:
        """Raises a stage's version in the lock that the tests use."""
        locked = json.loads(lock.LOCK.read_text())
        locked[stage]["version"] += 1
        lock.LOCK.write_text(json.dumps(locked))

    def triggers(self) -> list[str]:
        """What makes a file stale, from the profile that every run uses."""
        profile = read_yaml(self.folder / "profiles" / "default" / "config.yaml")
        return list(profile["rerun-triggers"])


def _label(job) -> str:
    """`tokens/semantic/train/0000-of-0002`, `shards/digits`, `stage1/cond`."""
    values = dict(job.wildcards.items())
    part, parts = values.pop("part", None), values.pop("parts", None)
    pieces = [job.rule.name.replace("shards_", "shards/"), *values.values()]
    return "/".join([*pieces, *([f"{part}-of-{parts}"] if part else [])])


def copy_workflow(folder: Path) -> Workflow:
    """Copies what a checkout runs from, with the tests' config and a folder of images."""
    for name in ("rules", "profiles", "envs"):
        shutil.copytree(REPO / name, folder / name)
    shutil.copy(REPO / "Snakefile", folder)
    shutil.copy(HERE / "config.yaml", folder)
    for label in ("round", "square"):
        (folder / "images" / label).mkdir(parents=True)
        for number in range(5):
            (folder / "images" / label / f"{number}.png").write_text("no image: nothing reads it")
    _list_paper_files(folder)
    return Workflow(folder)


def _list_paper_files(folder: Path) -> None:
    """Writes down, for the stub, the files that no command line names."""
    config = load([folder / "config.yaml"])
    root = Path(config.results)
    names = {
        "tables": [file for name in table_names(config) for file in table_files(name)],
        "figures": [file for name in figure_names(config) for file in figure_files(name)],
    }
    for stage, files in names.items():
        text = "\n".join(str(root / stage / file) for file in files)
        (folder / f"{stage}.files").write_text(text)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory) -> Workflow:
    """A workflow whose jobs have all run, once for all tests; tests must leave it as it was."""
    workflow = copy_workflow(tmp_path_factory.mktemp("workflow"))
    result = workflow.run()
    assert result.returncode == 0, result.stdout
    return workflow


@pytest.fixture
def finished(finished_run, monkeypatch) -> Iterator[Workflow]:
    """The finished workflow; the config, the images and the lock are put back afterwards."""
    config, images = finished_run.config.read_text(), {}
    for path in (finished_run.folder / "images").rglob("*.png"):
        images[path] = (path.read_text(), path.stat().st_mtime_ns)
    own_lock = finished_run.folder / "stages.lock.json"
    shutil.copy(lock.LOCK, own_lock)
    monkeypatch.setattr(lock, "LOCK", own_lock)
    monkeypatch.chdir(finished_run.folder)  # Snakemake changes the folder too
    yield finished_run
    finished_run.config.write_text(config)
    for path, (text, time) in images.items():
        path.write_text(text)
        os.utime(path, ns=(time, time))
    lock.stage_versions.cache_clear()
    sources.fingerprint.cache_clear()


@pytest.fixture
def fresh(tmp_path) -> Workflow:
    """A workflow of which nothing has run."""
    return copy_workflow(tmp_path)
