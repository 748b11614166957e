"""Jobs at once on one machine take different GPUs, and what was assigned stays."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tessera import devices
from tessera.errors import UserError

VARIABLES = (
    devices.VISIBLE,
    devices.CLAIMED,
    devices.PRETENDED,
    *devices.JOB_VARIABLES,
    "LOCAL_RANK",
    "SLURM_STEP_GPUS",
    "SLURM_JOB_GPUS",
)
JOB = """
import sys, time, logging
from pathlib import Path
from tessera import devices
logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
devices.SECONDS_BETWEEN_TRIES = 0.05
held = devices.claim(int(sys.argv[2]), Path(sys.argv[1]))
print("has", *held, flush=True)
sys.stdin.read()  # works until somebody closes its input
"""


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An environment without GPUs of any kind; what a test locked is free again afterwards."""
    for name in VARIABLES:
        monkeypatch.setenv(name, "")  # restored afterwards, also where claim() sets it
        monkeypatch.delenv(name)
    yield
    while devices._held:
        os.close(devices._held.pop())


def job(folder: Path, gpus: int = 1, **variables: str) -> subprocess.Popen[str]:
    """A process that claims GPUs and holds them until its input is closed."""
    return subprocess.Popen(
        [sys.executable, "-c", JOB, str(folder), str(gpus)],
        env=os.environ | variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def held(process: subprocess.Popen[str]) -> list[str]:
    """The devices that a job got; waits until it has them."""
    assert process.stdout is not None
    return process.stdout.readline().split()[1:]


@contextlib.contextmanager
def all_ended(*processes: subprocess.Popen[str]) -> Iterator[None]:
    try:
        yield
    finally:
        for process in processes:
            with process:  # closes its pipes and waits
                process.kill()


def test_jobs_at_once_take_different_devices(tmp_path):
    jobs = [job(tmp_path, TESSERA_PRETEND_GPUS="4") for _ in range(4)]
    with all_ended(*jobs):
        assert sorted(held(one) for one in jobs) == [["0"], ["1"], ["2"], ["3"]]


def test_a_job_waits_until_a_device_is_free_and_says_so(tmp_path):
    first = job(tmp_path, TESSERA_PRETEND_GPUS="1")
    assert held(first) == ["0"]
    second = job(tmp_path, TESSERA_PRETEND_GPUS="1")
    with all_ended(first, second):
        assert second.stderr is not None
        assert second.stderr.readline() == "waiting for 1 of the GPUs 0: others use them\n"
        assert first.stdin is not None
        first.stdin.close()
        assert held(second) == ["0"]


def test_a_killed_job_leaves_its_device(tmp_path):
    first = job(tmp_path, TESSERA_PRETEND_GPUS="1")
    assert held(first) == ["0"]
    first.send_signal(signal.SIGKILL)
    second = job(tmp_path, TESSERA_PRETEND_GPUS="1")
    with all_ended(first, second):
        assert held(second) == ["0"]


def test_two_that_need_two_of_three_follow_each_other(tmp_path):
    """Neither holds one device while it waits for another."""
    jobs = [job(tmp_path, 2, TESSERA_PRETEND_GPUS="3") for _ in range(2)]
    with all_ended(*jobs):
        for one in jobs:
            assert one.stdin is not None
            one.stdin.close()  # it ends as soon as it has its devices
        assert [held(one) for one in jobs] == [["0", "1"], ["0", "1"]]


def test_a_users_list_restricts_the_choice(tmp_path):
    jobs = [job(tmp_path, CUDA_VISIBLE_DEVICES="5,GPU-8f3a") for _ in range(2)]
    with all_ended(*jobs):
        assert sorted(held(one) for one in jobs) == [["5"], ["GPU-8f3a"]]


def test_the_choice_is_what_cuda_sees(tmp_path, monkeypatch):
    monkeypatch.setenv(devices.PRETENDED, "2")
    assert devices.claim(2, tmp_path) == ["0", "1"]
    assert os.environ[devices.VISIBLE] == "0,1"


@pytest.mark.parametrize("variable", devices.JOB_VARIABLES)
def test_what_a_scheduler_assigned_stays(tmp_path, monkeypatch, variable):
    """Also where it calls the first device of every job 0, as SLURM with cgroups does."""
    monkeypatch.setenv(devices.VISIBLE, "0")
    monkeypatch.setenv(variable, "7")
    assert devices.claim(1, tmp_path) == ["0"]
    assert not list(tmp_path.iterdir())
    assert devices.CLAIMED not in os.environ


def test_slurms_own_numbers_are_reported(tmp_path, monkeypatch):
    monkeypatch.setenv(devices.VISIBLE, "0")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_STEP_GPUS", "3")
    assert devices.claim(1, tmp_path) == ["3"]
    assert os.environ[devices.VISIBLE] == "0"


def test_jobs_inside_one_allocation_share_it_out(tmp_path):
    """A whole workflow inside one job of four GPUs; another job's first GPU is another GPU."""
    inside = {"SLURM_JOB_ID": "7", "CUDA_VISIBLE_DEVICES": "0,1"}
    other = {"SLURM_JOB_ID": "8", "CUDA_VISIBLE_DEVICES": "0,1"}
    jobs = [job(tmp_path, **variables) for variables in (inside, inside, other, other)]
    with all_ended(*jobs):
        found = [held(one) for one in jobs]
        assert sorted(found[:2]) == sorted(found[2:]) == [["0"], ["1"]]


def test_the_processes_of_a_job_use_what_it_claimed(tmp_path, monkeypatch):
    monkeypatch.setenv(devices.PRETENDED, "2")
    assert devices.claim(1, tmp_path) == ["0"]
    child = job(tmp_path, TESSERA_PRETEND_GPUS="2")
    with all_ended(child):
        assert held(child) == ["0"]


def test_processes_under_torchrun_choose_by_their_rank(tmp_path, monkeypatch):
    monkeypatch.setenv(devices.PRETENDED, "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert devices.claim(2, tmp_path) == []
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_without_devices_a_job_takes_none(tmp_path, monkeypatch, hidden):
    monkeypatch.setenv(devices.VISIBLE, hidden)
    assert devices.claim(1, tmp_path) == []


def test_more_than_there_are_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv(devices.PRETENDED, "2")
    with pytest.raises(UserError, match=r"asks for 3 GPUs and can see 2 on this machine: lower"):
        devices.claim(3, tmp_path)


def test_a_job_without_gpus_takes_none(tmp_path, monkeypatch):
    monkeypatch.setenv(devices.PRETENDED, "2")
    assert devices.claim(0, tmp_path) == []
    assert devices.VISIBLE not in os.environ


def test_devices_are_counted_by_nvidia_smi(tmp_path, monkeypatch):
    """MIG instances are listed below their GPU, and are no further GPUs."""
    command = tmp_path / "nvidia-smi"
    command.write_text(
        "#!/bin/sh\necho 'GPU 0: NVIDIA H100 (UUID: GPU-a)'\n"
        "echo '  MIG 1g.10gb Device 0: (UUID: MIG-b)'\necho 'GPU 1: NVIDIA H100 (UUID: GPU-c)'\n"
    )
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert devices.devices() == ["0", "1"]
