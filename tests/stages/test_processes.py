"""Several processes train what one trains; they meet over gloo, on CPUs."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tessera.launch import Layout, free_port, run_node

pytestmark = pytest.mark.slow
EVERY = {"log_every": 4, "checkpoint_every": 3}
TRAININGS = {
    "stage1": ("stage1", "cond"),
    "stage1_averaged": ("stage1", "uncond"),
    "stage2_autoregressive": ("stage2", "ar"),
    "stage2_masked": ("stage2", "nar"),
}  # all with dropout and clipping


class Pair:
    """Two processes of one training, started as torchrun would."""

    def __init__(self, processes, command, folder: Path, **options) -> None:
        folder.mkdir(exist_ok=True)
        self.processes = processes
        self.logs = [folder / f"log.{rank}" for rank in range(2)]
        port = free_port()
        self.numbers = [
            processes.start(command, self.logs[rank], environment=environment(rank, port))
            for rank in range(2)
        ]

    def wait(self) -> list[int]:
        """The exit status of each."""
        return [self.processes.wait(number) for number in self.numbers]

    def text(self) -> list[str]:
        return [log.read_text() for log in self.logs]


def environment(rank: int, port: int) -> dict[str, str]:
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "GLOO_SOCKET_IFNAME": "lo",
    }


def train_by_two(processes, command, folder: Path) -> None:
    pair = Pair(processes, command, folder)
    assert pair.wait() == [0, 0], pair.text()
    assert pair.text()[1] == ""  # the first process speaks for both


def weights(card: Path) -> dict[str, torch.Tensor]:
    return load_file(card.parent / "model.safetensors")


def largest_difference(first: Path, second: Path) -> float:
    """Of any weight but the biases of the keys, relative to the largest of its tensor.

    A bias that is added to all keys changes no attention: its gradient is 0 but for rounding, and
    Adam makes steps of full size from rounding.
    """
    one, two = weights(first), weights(second)
    worst = 0.0
    for name, tensor in one.items():
        difference = (tensor - two[name]).abs()
        if name.endswith("qkv.bias"):
            width = len(difference) // 3
            difference = torch.cat([difference[:width], difference[2 * width :]])
        worst = max(worst, float(difference.max() / tensor.abs().max()))
    return worst


def wait_for_state(out: Path, pair: Pair | None = None) -> None:
    deadline = time.monotonic() + 180
    while not list(out.glob("resume/*/*/state.pt")):
        assert time.monotonic() < deadline, pair and pair.text()
        time.sleep(0.001)


@pytest.mark.parametrize("training", TRAININGS.values(), ids=TRAININGS)
@pytest.mark.parametrize("micro_batch", [0, 2])
def test_two_processes_equal_one(pipeline, processes, tmp_path, training, micro_batch):
    """To 1e-6, with the same micro-batches: 4 images at once, and 2 in two rounds."""
    one, two = tmp_path / "one", tmp_path / "two"
    command = pipeline.command(*training, two, **EVERY, micro_batch=micro_batch)
    train_by_two(processes, command, two)
    expected = pipeline.run(*training, one, **EVERY, micro_batch=micro_batch or 4)
    found = pipeline.read(*training, two)
    cards = [pipeline.card(*training, out) for out in (one, two)]
    assert largest_difference(*cards) < 1e-6
    assert (expected["run"]["processes"], found["run"]["processes"]) == (1, 2)
    assert found["results"]["final"] == pytest.approx(expected["results"]["final"], rel=1e-5)
    lines = [(card.parent / "metrics.jsonl").read_text().splitlines() for card in cards]
    logged = [[json.loads(line) for line in some] for some in lines]
    assert [line["step"] for line in logged[1]] == [line["step"] for line in logged[0]]
    # Masks of the validation images are drawn for so many at once.
    if micro_batch or training != ("stage2", "nar"):
        for ours, theirs in zip(*logged, strict=True):
            assert ours["validation_loss"] == pytest.approx(theirs["validation_loss"], rel=1e-5)
        validation = found["results"]["validation"]
        assert validation == pytest.approx(expected["results"]["validation"], rel=1e-5)
    # The whole batch at once draws other dropout: such a difference is no rounding.
    assert largest_difference(cards[1], pipeline.card(*training)) > 1e-4
    assert not list(two.glob("resume/*/*"))


@pytest.mark.parametrize("training", [("stage1", "uncond"), ("stage2", "nar")])
@pytest.mark.parametrize("lost", [0, 1])
def test_one_process_is_killed(pipeline, processes, tmp_path, training, lost):
    """The other ends too, and the training goes on from the checkpoint, with one or with two."""
    whole, out = tmp_path / "whole", tmp_path / "out"
    options = EVERY | {"micro_batch": 2}
    train_by_two(processes, pipeline.command(*training, whole, **options), whole)
    command = pipeline.command(*training, out, **options)
    pair = Pair(processes, command, out)
    wait_for_state(out, pair)
    os.kill(pair.numbers[lost], signal.SIGKILL)
    statuses = pair.wait()
    assert statuses[lost] == -signal.SIGKILL
    assert statuses[1 - lost] == 1, pair.text()
    if lost == 1:
        assert "another process of this training has ended: see its message" in pair.text()[0]
    card = pipeline.card(*training, out)
    assert not card.exists()
    if lost == 1:
        train_by_two(processes, command, out / "again")
        # Two numbers have one sum, in whatever order.
        assert (card.parent / "model.safetensors").read_bytes() == (
            pipeline.card(*training, whole).parent / "model.safetensors"
        ).read_bytes()
    else:
        pipeline.run(*training, out, **options)
        assert largest_difference(card, pipeline.card(*training, whole)) < 1e-6
    assert json.loads(card.read_text())["run"]["resumed_at"] >= 3


@pytest.mark.parametrize("asked", [0, 1])
def test_one_process_is_asked_to_stop(pipeline, processes, tmp_path, asked):
    """SIGTERM to either: both stop after the same update, the first saves it and says so."""
    training, out = ("stage1", "cond"), tmp_path / "out"
    command = pipeline.command(*training, out, **EVERY)
    pair = Pair(processes, command, out)
    wait_for_state(out, pair)
    os.kill(pair.numbers[asked], signal.SIGTERM)
    assert pair.wait() == [1, 1], pair.text()
    assert pair.text()[1] == ""
    assert pair.text()[0].splitlines()[-1].endswith("run again to go on from there")
    saved = int(pair.text()[0].rpartition("saved after update ")[2].split()[0])
    train_by_two(processes, command, out / "again")
    assert pipeline.read(*training, out)["run"]["resumed_at"] == saved


FAILING = """
import os, sys
from tessera.stages import stage1
from tessera.train.task import GradientTask

update = GradientTask.update

def failing(self, step):
    if step == 7 and os.environ["RANK"] == "1":
        raise ConnectionError("the link is down")
    return update(self, step)

GradientTask.update = failing
sys.exit(stage1.main(sys.argv[1:]))
"""


def test_an_exception_in_one_process(pipeline, tmp_path, capfd, monkeypatch):
    """It ends the job: the traceback of that process, a status, the last checkpoint."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2] / "src"))
    script, out = tmp_path / "failing.py", tmp_path / "out"
    script.write_text(FAILING)
    options = EVERY | {"micro_batch": 4}
    _, argv = pipeline.command("stage1", "cond", out, **options)
    command = [sys.executable, str(script), *argv]
    assert run_node(command, Layout(1, 2), 0, "127.0.0.1", free_port()) == 1
    text = capfd.readouterr().err
    assert "[stage1 cond process 1] an error in process 1, whose traceback follows" in text
    assert text.count("Traceback") == 1
    assert "ConnectionError: the link is down" in text
    assert pipeline.run("stage1", "cond", out, **options)["run"]["resumed_at"] == 6


def test_launched_and_stopped_then_under_torchrun(pipeline, tmp_path):
    """`--gpus 2` starts two processes and passes SIGTERM on; torchrun ends what they began.

    In a job of SLURM, of which this has the commands alone, the stopped one goes back to the queue.
    """
    training, out = ("stage1", "cond"), tmp_path / "out"
    for name, does in {
        "squeue": "echo 'RUNNING|rule_stage1'",
        "scontrol": f'echo "$@" >> {tmp_path}/asked',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    stage, argv = pipeline.command(*training, out, **EVERY, device="cpu")
    start = {"cwd": tmp_path, "stderr": subprocess.PIPE, "text": True}
    start["env"] = os.environ | {
        "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
        "CUDA_VISIBLE_DEVICES": "0,1",  # as a scheduler assigns them
        "OMP_NUM_THREADS": "1",
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "SLURM_JOB_ID": "12",
    }
    module = ["-m", f"tessera.stages.{stage}"]
    with subprocess.Popen([sys.executable, *module, *argv, "--gpus", "2"], **start) as launched:
        wait_for_state(out)
        launched.send_signal(signal.SIGTERM)
        text = launched.communicate()[1]
    assert launched.returncode == 1
    assert "Traceback" not in text
    assert text.count("error: asked to stop: saved after update ") == 1
    assert (tmp_path / "asked").read_text() == "requeue 12\n"  # once, not by each process
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run([*torchrun, *module, *argv], check=True, **start)
    content = pipeline.read(*training, out)
    assert content["run"]["resumed_at"] >= 3
    assert content["run"]["processes"] == 2


def test_probes_of_two_processes(pipeline, processes, tmp_path):
    """The hidden states are spread over them, kept or made anew; the accuracies are the same."""
    for keep in (0, 2000):
        out = tmp_path / str(keep)
        command = pipeline.command("probes", "linear", out, each="uncond", keep_mb=keep, batch=3)
        train_by_two(processes, command, out)
        found = pipeline.read("probes", "linear", out, each="uncond")
        assert found["run"]["processes"] == 2
        assert found["results"] == pipeline.read("probes", "linear", each="uncond")["results"]


def test_a_batch_that_two_processes_cannot_share(pipeline, processes, tmp_path):
    """Before anything is trained: 8 images are no 2 x n x 3, nor 2 x n x 8."""
    for micro_batch in (3, 8):
        command = pipeline.command("stage1", "cond", tmp_path, micro_batch=micro_batch)
        pair = Pair(processes, command, tmp_path / str(micro_batch))
        assert pair.wait() == [1, 1]
        said = "a batch of 8 images gives 2 processes no equal numbers of micro-batches"
        assert f"{said} of {micro_batch}: change" in pair.text()[0]
        assert pair.text()[1] == ""


def test_a_stage_of_one_process_under_torchrun(pipeline, processes, tmp_path):
    """Two processes would write the same files."""
    pair = Pair(processes, pipeline.command("extractors", "cnn", tmp_path), tmp_path / "logs")
    assert pair.wait() == [1, 1]
    assert "extractor runs in one process: start it without torchrun" in pair.text()[0]


def test_nodes_outside_a_cluster(pipeline, tmp_path, monkeypatch):
    """Refused at once, and unequal shares of the GPUs too."""
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    said = pipeline.call("stage1", "cond", tmp_path, gpus=0, nodes=2).error
    assert said.startswith(
        "stage1 is to run on 2 nodes, and this is no SLURM job: run the workflow"
    )
    said = pipeline.call("stage2", "ar", tmp_path, gpus=3, nodes=2).error
    assert said.startswith("--gpus 3 cannot be spread over --nodes 2")
