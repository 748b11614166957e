"""A browser for the session, and both reports of one small run."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.browser.chromium import Chromium, obstacle
from tests.unit.report.conftest import SWEPT, FakeRun
from tests.unit.report.whole import report

from tessera.config import guard

REPO = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """The browser, or a skip that says why there is none."""
    if reason := obstacle():
        pytest.skip(f"no browser for tests: {reason}")
    started = Chromium(tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


@pytest.fixture(scope="session")
def run(browser: Chromium, tmp_path_factory: pytest.TempPathFactory) -> FakeRun:
    """A run whose numbers are made up, with its index page; after the browser, which may skip."""
    made = FakeRun(tmp_path_factory.mktemp("run"), SWEPT).all()
    report(made, title="Digits & <b>letters</b>")
    return made


@pytest.fixture(scope="session")
def snakemakes(run: FakeRun) -> Path:
    """Snakemake's own report of the run."""
    for name in ("rules", "profiles", "envs"):
        shutil.copytree(REPO / name, run.folder / name)
    shutil.copy(REPO / "Snakefile", run.folder)
    (run.folder / "config.json").rename(run.folder / "config.yaml")
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "paper", "--report", "results/report.html"],
        cwd=run.folder,
        env={name: value for name, value in os.environ.items() if name != guard.VARIABLE}
        | {"PYTHONPATH": str(REPO / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return run.results / "report.html"
