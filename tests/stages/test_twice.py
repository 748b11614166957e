"""One result by two processes: a controller was killed, its job was not, and it was restarted."""

import fcntl
import os
import signal
import time

import pytest

pytestmark = pytest.mark.slow
EVERY = {"log_every": 4, "checkpoint_every": 3}
TWICE = [("stage1", "cond", EVERY), ("tokens", "codes", {}), ("data", "shapes", {})]


def wait_for(log, words: str) -> None:
    """Waits until a process says something."""
    deadline = time.monotonic() + 60
    while not log.exists() or words not in log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def suspended(processes, command, log, card) -> int:
    """Starts a job and stops it as soon as it has its turn; returns its number."""
    lock = card.with_name(f".{card.name}.lock")
    number = processes.start(command, log)
    deadline = time.monotonic() + 60
    while not is_held(lock):
        assert time.monotonic() < deadline, log.read_text()
    os.kill(number, signal.SIGSTOP)
    return number


def is_held(lock) -> bool:
    """Whether a process holds the lock; that its file is there does not say so yet."""
    if not lock.exists():
        return False
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@pytest.mark.parametrize(("section", "name", "flags"), TWICE)
def test_the_second_waits_and_finds_it_made(pipeline, processes, tmp_path, section, name, flags):
    """Nothing is computed twice, and the first is not disturbed."""
    out, first_log, second_log = tmp_path / "out", tmp_path / "1.txt", tmp_path / "2.txt"
    command, card = pipeline.command(section, name, out, **flags), pipeline.card(section, name, out)
    first = suspended(processes, command, first_log, card)
    second = processes.start(command, second_log)
    wait_for(second_log, "another process makes")
    assert not card.exists()
    os.kill(first, signal.SIGCONT)
    assert processes.wait(first) == 0, first_log.read_text()
    assert processes.wait(second) == 0, second_log.read_text()
    assert second_log.read_text().splitlines()[-1].endswith("is made already: nothing to do")
    assert pipeline.read(section, name, out)["digest"] == pipeline.read(section, name)["digest"]
    assert not list(card.parent.glob(".*"))


def test_the_second_takes_over_where_the_first_is_killed(pipeline, processes, tmp_path):
    """Also then the result is that of one."""
    out, log = tmp_path / "out", tmp_path / "log.txt"
    command, card = pipeline.command("tokens", "codes", out), pipeline.card("tokens", "codes", out)
    first = suspended(processes, command, tmp_path / "1.txt", card)
    second = processes.start(command, log)
    wait_for(log, "another process makes")
    os.kill(first, signal.SIGKILL)
    processes.wait(first)
    assert processes.wait(second) == 0, log.read_text()
    assert "nothing to do" not in log.read_text()
    made = pipeline.read("tokens", "codes", out)
    assert made["digest"] == pipeline.read("tokens", "codes")["digest"]


def test_another_result_is_made_anew(pipeline, processes, tmp_path):
    """What the first made of other settings is not what the second is to make."""
    out, log = tmp_path / "out", tmp_path / "log.txt"
    card = pipeline.card("codebooks", "k8", out)
    other = pipeline.changed({"codebooks.k8.seed": 5}).command("codebooks", "k8", out)
    first = suspended(processes, other, tmp_path / "1.txt", card)
    second = processes.start(pipeline.command("codebooks", "k8", out), log)
    wait_for(log, "another process makes")
    os.kill(first, signal.SIGCONT)
    assert processes.wait(first) == 0
    assert processes.wait(second) == 0, log.read_text()
    made = pipeline.read("codebooks", "k8", out)
    assert made["digest"] == pipeline.read("codebooks", "k8")["digest"]
