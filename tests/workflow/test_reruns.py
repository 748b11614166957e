"""Which jobs a change of the config, the images or the code makes run again: these, no others."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.workflow.edits import ROOTS_OF_CODE, ROWS, config, put, setting
from tests.workflow.expected import DIGITS, PAPER, SHAPES, TOY, below

from tessera.config.jobs import jobs
from tessera.config.load import load
from tessera.config.schema import stages

pytestmark = [pytest.mark.workflow, pytest.mark.filterwarnings("default")]


def test_nothing_runs_twice(finished):
    """A finished run is finished."""
    assert finished.jobs() == set()


def test_the_first_run_runs_everything(fresh, monkeypatch):
    """All jobs of the hand-drawn graph exist, and no others."""
    monkeypatch.chdir(fresh.folder)
    assert fresh.jobs() == below(DIGITS, SHAPES, TOY)


def test_the_paper_is_a_target_of_its_own(fresh, monkeypatch):
    """It asks for the whole run, since tables read the cards of all jobs."""
    monkeypatch.chdir(fresh.folder)
    assert fresh.jobs(targets=["paper"]) == fresh.jobs() | {"paper"}


def test_the_jobs_of_a_config_are_those_of_the_workflow(fresh, monkeypatch):
    """What is said about a config without Snakemake is about the same jobs."""
    monkeypatch.chdir(fresh.folder)
    assert fresh.jobs() == {job.label for job in jobs(load([fresh.config]))}


@pytest.mark.parametrize("change", ROWS)
def test_an_edit_reruns_what_it_concerns(finished, change: str):
    """One edit of a finished experiment: exactly these jobs, and the explanation says why."""
    row = ROWS[change]
    row.edit(finished.folder)
    started, named, words = finished.explained()
    assert started == row.jobs
    assert named == row.jobs
    assert row.words in words


def test_the_table_has_the_code_of_every_stage():
    """A new stage gets its rows."""
    assert {*ROOTS_OF_CODE, *PAPER} == set(stages())


def test_an_overlay_is_an_edit(finished):
    """--configfile lays settings over config.yaml."""
    over = finished.folder / "over.yaml"
    over.write_text("codebooks: {k16: {clusters: 12}}\n")
    assert finished.jobs([over]) == below("codebook/k16")


def test_jobs_find_their_python_without_an_activated_environment(fresh):
    """`.venv/bin/snakemake` alone: the jobs run in the environment that Snakemake runs in."""
    command = [
        str(Path(sys.executable).with_name("snakemake")), "--cores", "1", "--until",
        "shards_digits", "--quiet",
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=fresh.folder, env={"PATH": "/usr/bin:/bin", "HOME": str(fresh.folder)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    card = json.loads((fresh.folder / "results/shards/digits/card.json").read_text())
    assert card["results"]["train_images"] == 1437


INCEPTION = "extractors.inception.weights"


def test_an_evaluation_against_statistics(finished):
    """Its job reads the file instead of shards.

    When the file was written and where it lies change nothing, which one it is does.
    """
    file = finished.folder / "my statistics.npz"
    weights = finished.folder / "inception.pth"
    for path in (file, weights):
        path.write_text("nothing reads it")
    inception = {"kind": "inception", "weights": weights.name}
    adm = {"extractor": "inception", "statistics": file.name}
    edit = config(
        put("extractors.inception", inception), put("evaluations.adm", adm | {"samplings": ["vq"]})
    )
    edit(finished.folder)
    job = {"evaluation/adm/vq"}
    assert finished.jobs() == job | PAPER
    done = finished.run("results/evaluations/adm/vq.json", "--printshellcmds")
    assert done.returncode == 0, done.stdout
    assert re.search(r"--shards +--statistics 'my statistics\.npz' --extractor", done.stdout)
    assert finished.jobs() == PAPER
    os.utime(file)
    assert finished.jobs() == PAPER
    for path, name in ((file, "evaluations.adm.statistics"), (weights, INCEPTION)):
        moved = path.rename(finished.folder / f"moved {path.name}")
        setting(name, moved.name)(finished.folder)
        assert finished.jobs() == PAPER
    moved.write_text("other weights")
    assert finished.jobs() == job | PAPER
