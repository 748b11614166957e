"""The real Snakefile and rules on stubs: a copy of the workflow whose `python` only makes files."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tessera.config import guard, lock, sources
from tessera.config.jobs import jobs
from tessera.config.load import load, read_yaml
from tessera.report.outputs import figure_files, figure_names, table_files, table_names
from tessera.reruns.causes import reasons
from tessera.reruns.graph import read
from tessera.reruns.outdated import read_cards
from tessera.reruns.words import answer

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
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment(stub) | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )

    @staticmethod
    def command(*arguments: str) -> list[str]:
        """Snakemake's command."""
        return [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]

    @staticmethod
    def environment(stub: Path = STUB) -> dict[str, str]:
        """The environment in which `python` is a stub."""
        inherited = {name: value for name, value in os.environ.items() if name != guard.VARIABLE}
        return inherited | {
            "PATH": f"{stub}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(REPO / "src"),
        }

    def jobs(self, configfiles: Sequence[Path] = (), targets: Sequence[str] = ()) -> set[str]:
        """The jobs that a run would start, as `rule/wildcard/…`, without the rule `all`."""
        with self._dag(configfiles, targets) as dag:
            return _labels(dag)

    def explained(self) -> tuple[set[str], set[str], str]:
        """The jobs that a run would start, those that the explanation names, and its words.

        Both look at one graph: it takes a third of a second to build.
        """
        with self._dag() as dag:
            config = load([self.config])
            planned = jobs(config)
            found = read(dag, planned)
            why = reasons(config, planned, read_cards(planned), found.due)
            named = {one.job.label for one in found.due}
            return _labels(dag), named, answer(found.count, planned, why)

    @contextmanager
    def _dag(self, configfiles: Sequence[Path] = (), targets: Sequence[str] = ()) -> Iterator[Any]:
        """Snakemake's graph of a dry run, in this process: half a second instead of three."""
        # Imported here: only these tests need Snakemake, and it takes a second.
        from snakemake.api import SnakemakeApi
        from snakemake.settings import types

        os.environ.pop(guard.VARIABLE, None)
        lock.stage_versions.cache_clear()
        sources.forget()
        quiet = {types.Quietness.ALL}
        triggers = [types.RerunTrigger.parse_choice(name) for name in self.triggers()]
        with SnakemakeApi(types.OutputSettings(quiet=quiet, dryrun=True)) as api:
            workflow = api.workflow(
                resource_settings=types.ResourceSettings(cores=1),
                config_settings=types.ConfigSettings(configfiles=tuple(configfiles)),
                snakefile=self.folder / "Snakefile",
                workdir=self.folder,
            )
            workflow.dag(
                types.DAGSettings(targets=frozenset(targets), rerun_triggers=frozenset(triggers))
            )
            # What each of Snakemake's commands begins with; nothing is started.
            workflow._workflow._prepare_dag(
                forceall=False, ignore_incomplete=False, lock_warn_only=True
            )
            workflow._workflow._build_dag()
            yield workflow._workflow.dag
        os.environ.pop(guard.VARIABLE, None)

    def triggers(self) -> list[str]:
        """What makes a file stale, from the profile that every run uses."""
        profile = read_yaml(self.folder / "profiles" / "default" / "config.yaml")
        return list(profile["rerun-triggers"])


def _labels(dag) -> set[str]:
    return {_label(job) for job in dag.needrun_jobs(exclude_finished=False)} - {"all"}


def _label(job) -> str:
    """`tokens/semantic/train/0000-of-0002`, `shards/digits`, `stage1/cond`."""
    values = dict(job.wildcards.items())
    part, parts = values.pop("part", None), values.pop("parts", None)
    pieces = [job.rule.name.replace("shards_", "shards/"), *values.values()]
    return "/".join([*pieces, *([f"{part}-of-{parts}"] if part else [])])


def copy_workflow(folder: Path, results: str = "results") -> Workflow:
    """Copies what a checkout runs from, with the tests' config and a folder of images.

    Args:
        folder: the copy; made where it is absent.
        results: the folder of its results.
    """
    folder.mkdir(exist_ok=True)
    for name in ("rules", "profiles", "envs"):
        shutil.copytree(REPO / name, folder / name)
    shutil.copy(REPO / "Snakefile", folder)
    text = (HERE / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace("results: results", f"results: {results}"))
    for label in ("round", "square"):
        (folder / "images" / label).mkdir(parents=True)
        for number in range(5):
            (folder / "images" / label / f"{number}.png").write_text("no image: nothing reads it")
    list_paper_files(folder)
    return Workflow(folder)


def list_paper_files(folder: Path) -> None:
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
    shutil.copy(lock.LOCK, workflow.folder / "stages.lock.json")
    return workflow


@pytest.fixture(scope="session", autouse=True)
def _parsed_once() -> Iterator[None]:
    """Equal rule files are turned into Python once: a quarter of the time that a graph takes."""
    from snakemake.api import SnakemakeApi  # noqa: F401  its modules import each other

    workflow = sys.modules["snakemake.workflow"]
    parse, parsed = workflow.parse, {}

    def recall(file, made, linemap, rulecount=0):
        key = (Path(file.get_path_or_uri(secret_free=True)).read_text(), rulecount)
        if key not in parsed:
            lines: dict[int, int] = {}
            parsed[key] = (*parse(file, made, lines, rulecount=rulecount), lines)
        code, count, lines = parsed[key]
        linemap.update(lines)
        return code, count

    workflow.parse = recall
    yield
    workflow.parse = parse


class Snapshot:
    """All files of a workflow as they are, to be put back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = {path: (path.read_bytes(), _state(path)) for path in self._paths()}

    def _paths(self) -> Iterator[Path]:
        own = (path for path in self.folder.iterdir() if path.name != ".snakemake")
        for path in own:
            yield from (file for file in [path, *path.rglob("*")] if file.is_file())

    def put_back(self) -> None:
        for path in list(self._paths()):
            if path not in self.files:
                path.unlink()
        for path, (content, state) in self.files.items():
            if not path.exists() or _state(path) != state:
                path.write_bytes(content)
                os.utime(path, ns=(state[1], state[1]))


def _state(path: Path) -> tuple[int, int]:
    """Size and time of change of a file."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns


@pytest.fixture(scope="session")
def snapshot(finished_run) -> Snapshot:
    return Snapshot(finished_run.folder)


@pytest.fixture
def finished(finished_run, snapshot, monkeypatch) -> Iterator[Workflow]:
    """The finished workflow; all its files, the lock of the stages too, are put back afterwards."""
    monkeypatch.setattr(lock, "LOCK", finished_run.folder / "stages.lock.json")
    monkeypatch.chdir(finished_run.folder)  # Snakemake changes the folder too
    yield finished_run
    snapshot.put_back()
    lock.stage_versions.cache_clear()
    sources.forget()


@pytest.fixture
def fresh(tmp_path) -> Workflow:
    """A workflow of which nothing has run."""
    return copy_workflow(tmp_path)
