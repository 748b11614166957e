"""A config that is edited while jobs run, and one that is wrong from the start."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tessera.config import guard

pytestmark = pytest.mark.workflow

# Plays the user who edits a file while the images are packed: the first job is a stub that edits,
# the second is the real stage.
EDITING_PYTHON = """#!/bin/sh
case $2 in
*.shards) sed -i 's/{old}/{new}/' {file}; exec {stub}/python "$@" ;;
*) exec {python} "$@" ;;
esac
"""


@pytest.mark.parametrize("file", ["config.yaml", "over.yaml"])
def test_a_config_edited_during_the_run_stops_the_next_job(fresh, tmp_path, file):
    """The job that starts after the edit says what happened, and trains nothing."""
    over = fresh.folder / "over.yaml"
    over.write_text("extractors: {cnn: {steps: 40}}\n")
    fresh.config.write_text(fresh.config.read_text().replace("cnn: {kind", "cnn: {steps: 30, kind"))
    folder = tmp_path / "editing"
    folder.mkdir()
    old, new = ("count: 10", "count: 11") if file == "config.yaml" else ("steps: 40", "steps: 41")
    script = EDITING_PYTHON.format(
        old=old, new=new, file=file, stub=fresh.stub, python=sys.executable
    )
    (folder / "python").write_text(script)
    (folder / "python").chmod(0o755)
    card = "results/extractors/cnn/card.json"
    result = fresh.run(card, "--configfile", str(over), stub=folder)
    assert result.returncode == 1
    assert "says something else now than when the workflow was launched" in result.stdout
    assert "put it back, or wait for the running jobs and launch again" in result.stdout
    assert "Traceback" not in result.stdout
    assert (fresh.folder / "results/shards/digits/card.json").exists()
    assert not (fresh.folder / card).exists()


def test_a_config_edited_before_a_cluster_job_stops_its_snakefile(fresh):
    """A cluster's job parses the Snakefile again, with the launch's record in its environment."""
    record = json.dumps({"files": [str(fresh.config)], "digest": "of the launch"})
    result = fresh.run("-n", **{guard.VARIABLE: record})
    assert result.returncode == 1
    assert "says something else now than when the workflow was launched" in result.stdout


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("codebook: k16", "codebook: k17", "tokens.semantic_16.codebook names 'k17'"),
        ("path: images", "path: absent", "the image folder absent does not exist"),
    ],
    ids=["a reference", "a folder"],
)
def test_a_wrong_config_ends_in_one_sentence(fresh, old, new, sentence):
    """Nothing has started, and the sentence says where and what."""
    text = fresh.config.read_text()
    assert old in text
    fresh.config.write_text(text.replace(old, new, 1))
    result = fresh.run("-n")
    assert result.returncode == 1
    assert sentence in result.stdout
    assert "Traceback" not in result.stdout


def test_a_stage_that_fails_is_a_failed_job(fresh):
    """The pipe into the log does not hide the stage's status."""
    fresh.config.write_text(
        fresh.config.read_text().replace("kind: digits,", "kind: digits, validation_share: 0.9999,")
    )
    done = subprocess.run(
        [str(Path(sys.executable).with_name("snakemake")), "--cores", "1", "--until",
         "shards_digits"],
        cwd=fresh.folder, env={"PATH": "/usr/bin:/bin", "HOME": str(fresh.folder)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert "cannot be split by class with validation_share 0.9999" in output
    assert "exited with non-zero exit code" in output
    assert "latency" not in output
