"""A stage as the workflow starts it: `python -m tessera.stages.<stage>`."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow  # an interpreter and its imports each


def run(repo, command: tuple[str, list[str]]) -> subprocess.CompletedProcess[str]:
    """Runs the real command."""
    stage, argv = command
    return subprocess.run(
        [sys.executable, "-m", f"tessera.stages.{stage}", *argv],
        env=os.environ | {"PYTHONPATH": str(repo / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_stage_that_succeeds(repo, pipeline, tmp_path):
    """Status 0, its log on the error output alone, and the same result as within the tests."""
    done = run(repo, pipeline.command("codebooks", "k8", tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert all(line.startswith("[codebook k8] ") for line in done.stderr.splitlines())
    made = pipeline.read("codebooks", "k8", tmp_path)
    assert made["digest"] == pipeline.read("codebooks", "k8")["digest"]


def test_a_stage_that_the_user_has_to_mend(repo, pipeline, tmp_path):
    """Status 1 and one line."""
    command = pipeline.command("codebooks", "k8", tmp_path, features=tmp_path / "nowhere.json")
    done = run(repo, command)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("[codebook k8] error: ")
    assert "nowhere.json does not exist" in line
