"""Which jobs put themselves back into the queue, asked of pretended commands of SLURM."""

from pathlib import Path

import pytest

from tessera.requeue import requeue


class Commands:
    """`squeue` and `scontrol` that write down how they were called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self, says: str, requeues: bool = True) -> None:
        self._write("squeue", f"echo '{says}'")
        self._write("scontrol", "true" if requeues else "echo 'no way' >&2; exit 1")

    def calls(self, name: str) -> list[str]:
        log = self.folder / f"{name}.calls"
        return log.read_text().splitlines() if log.exists() else []

    def _write(self, name: str, then: str) -> None:
        command = self.folder / name
        command.write_text(f'#!/bin/sh\necho "$@" >> {self.folder}/{name}.calls\n{then}\n')
        command.chmod(0o755)


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return Commands(tmp_path)


def test_a_running_job_of_a_rule_is_requeued(commands, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    commands.make("RUNNING|rule_stage1_wildcards_conditional")
    assert requeue()
    assert commands.calls("scontrol") == ["requeue 7"]


def test_of_an_array_only_the_task(commands, monkeypatch):
    """The last task of an array has the number of the array as its own."""
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "7")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    commands.make("RUNNING|rule_stage1_wildcards_conditional")
    assert requeue()
    assert commands.calls("squeue") == ["--noheader --jobs 7_3 --format=%T|%k"]
    assert commands.calls("scontrol") == ["requeue 7_3"]


@pytest.mark.parametrize(
    "says",
    [
        "COMPLETING|rule_stage1",  # cancelled, or at its limit
        "PENDING|rule_stage1",  # requeued by SLURM
        "RUNNING|(null)",  # a job of the user's own, which may be a whole workflow
        "",
    ],
)
def test_no_other_job_is(commands, monkeypatch, says):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    commands.make(says)
    assert not requeue()
    assert commands.calls("scontrol") == []


def test_without_slurm_nobody_is_asked(commands):
    commands.make("RUNNING|rule_stage1")
    assert not requeue()
    assert commands.calls("squeue") == []


def test_a_cluster_that_forbids_it_is_quoted(commands, monkeypatch, caplog):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    commands.make("RUNNING|rule_stage1", requeues=False)
    assert not requeue()
    assert caplog.messages == ["scontrol failed (no way)"]
