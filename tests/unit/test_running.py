"""One run at a time over a folder of results."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tessera import running
from tessera.errors import UserError

HOLD = "import sys; from tessera.running import hold; hold(sys.argv[1]); print('held'); input()"


def hold_elsewhere(folder: Path) -> subprocess.Popen[str]:
    """A process that holds the lock until it is given a line or killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(running.__file__).parents[1])},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.fixture
def own(monkeypatch) -> None:
    """What this process holds is let go of after the test."""
    monkeypatch.setattr(running, "_held", {})


def test_a_second_run_is_refused_and_told_of_the_first(tmp_path, own):
    """Where it runs, as which process, whose it is, and since when."""
    with hold_elsewhere(tmp_path) as other:
        with pytest.raises(UserError, match="another run works in") as error:
            running.hold(tmp_path)
        told = json.loads((tmp_path / running.LOCK).read_text())
        assert told["process"] == other.pid
        for name in ("host", "process", "user", "since", "started in"):
            assert f"{name} {told[name]}" in str(error.value)
        other.communicate("\n")


def test_the_lock_ends_with_the_process_however_it_ends(tmp_path, own):
    """Nothing has to be removed after a kill."""
    with hold_elsewhere(tmp_path) as other:
        other.kill()
        other.wait()
        assert running.hold(tmp_path)
    assert json.loads((tmp_path / running.LOCK).read_text())["process"] == os.getpid()


def test_a_job_does_not_inherit_the_lock(tmp_path, own):
    """It would outlive the run in a job that nobody waits for."""
    running.hold(tmp_path)
    with subprocess.Popen(["sleep", "60"]) as job:
        os.close(running._held.popitem()[1])
        with hold_elsewhere(tmp_path) as other:
            other.communicate("\n")
        job.kill()


def test_a_lock_that_is_given_back_is_free(tmp_path, own):
    """For a run that this process starts; giving back what was never taken does nothing."""
    running.release(tmp_path)
    running.hold(tmp_path)
    running.release(tmp_path)
    with hold_elsewhere(tmp_path) as other:
        other.communicate("\n")


def test_a_folder_that_is_absent_is_made(tmp_path, own):
    """The first run of an experiment has no results yet."""
    running.hold(tmp_path / "new" / "results")
    assert (tmp_path / "new" / "results" / running.LOCK).exists()


def test_two_folders_do_not_disturb_each_other(tmp_path, own):
    """The lock is of the results, not of the checkout."""
    with hold_elsewhere(tmp_path / "one") as other:
        assert running.hold(tmp_path / "two")
        other.communicate("\n")


def test_who_may_write_to_the_folder_may_run_in_it(tmp_path, own):
    """Whatever the umask of the first one: the second one opens the same file."""
    tmp_path.chmod(0o770)
    mask = os.umask(0o077)
    try:
        running.hold(tmp_path)
    finally:
        os.umask(mask)
    assert (tmp_path / running.LOCK).stat().st_mode & 0o777 == 0o660


def test_a_file_system_without_locks_is_said(tmp_path, own, monkeypatch, caplog):
    """The run goes on: there are clusters whose disks have none."""

    def refuse(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert not running.hold(tmp_path)
    assert "file system without locks" in caplog.text
