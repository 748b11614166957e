"""The training loop: seeds, checkpoints, resuming, stopping."""

import json
import logging
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tessera.data.batches import batch_indices
from tessera.errors import UserError
from tessera.train.checkpoints import Checkpoint
from tessera.train.loop import StoppedError, fit, seed_update
from tessera.train.task import GradientTask

STEPS = 12


def make_task(seed: int = 0) -> GradientTask:
    """A small network with dropout on a random order of random points."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 16), nn.GELU(), nn.Dropout(0.5), nn.Linear(16, 1))
    points = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))

    def loss(network: nn.Module, step: int, micro: int) -> dict[str, Tensor]:
        batch = points[batch_indices(len(points), 4, seed, step)]
        noise = torch.randn(len(batch), 1)  # as masks and crops do, from the global generator
        return {"loss": (network(batch) - batch.sum(1, keepdim=True) - 0.1 * noise).square().mean()}

    return GradientTask(model, loss, torch.optim.Adam(model.parameters()), lambda step: 1e-2)


def run(folder: Path, task: Any = None, **options: Any) -> tuple[int, dict[str, Tensor]]:
    """Trains to the end; returns where it began, and the weights."""
    task = task or make_task()
    options = {"steps": STEPS, "seed": 0, "log_every": 4, "checkpoint_every": 5} | options
    start = fit(task, folder=folder, **options)
    return start, task.model.state_dict()


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


class Stopping:
    """A task that calls a function before one of its updates, and is the other task else."""

    def __init__(self, at: int, act) -> None:
        self.task, self.at, self.act = make_task(), at, act
        self.model = self.task.model
        self.load_state_dict, self.state_dict = self.task.load_state_dict, self.task.state_dict

    def update(self, step: int) -> dict[str, Tensor]:
        if step == self.at:
            self.act()
        return self.task.update(step)


def crash() -> None:
    raise ConnectionError("the node is gone")


def test_seeds_depend_on_seed_and_update():
    """The same draw whenever the update comes; another for another update or seed."""

    def draw(seed: int, step: int) -> tuple[float, ...]:
        torch.rand(7)  # whatever was drawn before
        seed_update(seed, step)
        return tuple(torch.rand(3).tolist())

    draws = {(seed, step): draw(seed, step) for seed in (0, 1, 11) for step in (0, 1, 11, 111)}
    assert draw(0, 1) == draws[0, 1]
    assert len(set(draws.values())) == len(draws)


def test_seeds_depend_on_the_micro_batch():
    """The first has the seed of the update: a batch at once and its first piece draw alike."""

    def draw(*seed: int) -> tuple[float, ...]:
        seed_update(*seed)
        return tuple(torch.rand(3).tolist())

    assert draw(0, 1, 0) == draw(0, 1)
    draws = {draw(seed, step, micro) for seed in (0, 1) for step in (0, 1) for micro in (0, 1, 11)}
    assert len(draws) == 12


def test_two_runs_are_equal(tmp_path):
    """Bit for bit, whatever the state of the generator before; another seed differs."""
    _, first = run(tmp_path / "a")
    torch.rand(5)
    _, second = run(tmp_path / "b", make_task())
    assert equal(first, second)
    _, other = run(tmp_path / "c", seed=1)
    assert not equal(first, other)


@pytest.mark.parametrize("at", [1, 5, 6, 9, 11])
def test_a_crashed_run_goes_on(tmp_path, at):
    """From the last checkpoint, with equal weights in the end and each line once."""
    _, whole = run(tmp_path / "whole")
    with pytest.raises(ConnectionError):
        run(tmp_path / "broken", Stopping(at, crash))
    start, resumed = run(tmp_path / "broken")
    assert start == at // 5 * 5
    assert equal(whole, resumed)
    lines = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "broken")]
    assert lines[0] == lines[1]


def test_a_finished_run_is_not_repeated(tmp_path):
    """Its last state is kept until the results are written."""
    _, whole = run(tmp_path)
    start, again = run(tmp_path, Stopping(0, crash))
    assert start == STEPS
    assert equal(whole, again)


def test_asked_to_stop(tmp_path):
    """SIGTERM: the update is finished, its state is saved, and the run ends as a failure."""
    _, whole = run(tmp_path / "whole")
    before = signal.getsignal(signal.SIGTERM)
    ask = Stopping(7, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(StoppedError, match="saved after update 8 of 12, run again"):
        run(tmp_path / "stopped", ask)
    assert signal.getsignal(signal.SIGTERM) is before
    assert Checkpoint(tmp_path / "stopped").load()[0] == 8
    start, resumed = run(tmp_path / "stopped")
    assert start == 8
    assert equal(whole, resumed)


def test_asked_to_stop_at_the_end(tmp_path):
    """In the last update there is nothing left to stop."""
    ask = Stopping(STEPS - 1, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert run(tmp_path, ask)[0] == 0


def test_lines(tmp_path):
    """The first update, every log_every-th and the last; `on_log` adds to each."""
    run(tmp_path, log_every=5, on_log=lambda done: {"validation_loss": done / 2})
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 5, 10, 12]
    assert [line["validation_loss"] for line in lines] == [0.5, 2.5, 5, 6]
    assert all({"loss", "gradient_norm", "learning_rate"} <= line.keys() for line in lines)


@pytest.mark.parametrize("options", [{"log_every": 1}, {"checkpoint_every": 1}])
def test_logging_changes_no_weight(tmp_path, options):
    """Nor does what `on_log` draws from the generator."""
    _, expected = run(tmp_path / "a")
    _, found = run(tmp_path / "b", on_log=lambda done: {"x": float(torch.rand(()))}, **options)
    assert equal(expected, found)


class Numbers:
    """A task without a model whose loss is told beforehand."""

    def __init__(self, losses: list[float]) -> None:
        self.losses = losses
        self.model = nn.Identity()

    def update(self, step: int) -> dict[str, Tensor]:
        return {"loss": torch.tensor(self.losses[step])}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        assert state == {}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_loss_that_is_no_number(tmp_path, value):
    """The next line names metric, value, update and cure; the checkpoint before is kept."""
    task = Numbers([1.0] * 6 + [value] * 6)
    with pytest.raises(UserError, match=rf"loss is {value} after update 8: lower the learning"):
        run(tmp_path, task)
    assert Checkpoint(tmp_path).load()[0] == 5


def test_a_validation_that_is_no_number(tmp_path):
    """It would be no JSON, neither in the lines nor in the card."""
    with pytest.raises(UserError, match="validation_loss is nan after update 1: lower"):
        run(tmp_path, Numbers([1.0] * 12), on_log=lambda done: {"validation_loss": float("nan")})
    assert (tmp_path / "metrics.jsonl").read_text() == ""


def test_a_state_of_another_model(tmp_path):
    """One sentence that says what does not fit and what to do."""
    Checkpoint(tmp_path).save(5, {"model": {"other.weight": torch.zeros(2)}, "optimizer": {}})
    with pytest.raises(UserError, match=r"state\.pt does not fit this training .*: delete its"):
        run(tmp_path)


def test_when_pictures_are_shown(tmp_path):
    """At every so many updates and after the last; 0 is never. No weight notices."""
    shown: list[int] = []
    task = make_task()
    updates = []

    def show() -> dict[str, Any]:
        shown.append(len(updates))
        torch.rand(3)  # what is drawn here changes no update
        return {}

    def counted(step: int) -> dict[str, Tensor]:
        updates.append(step)
        return GradientTask.update(task, step)

    task.update = counted
    _, weights = run(tmp_path / "with", task, show=show, show_every=5)
    assert shown == [5, 10, STEPS]
    assert equal(weights, run(tmp_path / "without")[1])
    shown.clear()
    run(tmp_path / "never", show=show, show_every=0)
    assert not shown


def test_a_picture_that_fails(tmp_path, caplog):
    """At updates with a checkpoint: it lies there before, and the weights are those without."""
    saved: list[int] = []

    def show() -> dict[str, Any]:
        saved.append(Checkpoint(tmp_path / "with").load()[0])
        torch.rand(3)
        raise torch.OutOfMemoryError("no memory is left\nand more")

    with caplog.at_level(logging.WARNING):
        _, weights = run(tmp_path / "with", show=show, show_every=5)
    assert saved == [5, 10, STEPS]
    assert [record.getMessage() for record in caplog.records] == [
        f"TensorBoard gets no pictures: after update {done}, OutOfMemoryError: no memory is left"
        for done in saved
    ]
    assert equal(weights, run(tmp_path / "without")[1])


def test_a_picture_that_is_interrupted(tmp_path):
    """Ctrl+C ends the training; it goes on from the checkpoint of that update."""

    def show() -> dict[str, Any]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, show=show, show_every=5)
    assert run(tmp_path)[0] == 5


@pytest.mark.parametrize("at", [7, STEPS - 1])
def test_asked_to_stop_before_a_picture(tmp_path, at):
    """The state is saved, and no time goes into pictures."""
    shown: list[int] = []

    def show() -> dict[str, Any]:
        shown.append(1)
        return {}

    ask = Stopping(at, lambda: os.kill(os.getpid(), signal.SIGTERM))
    options = {"show": show, "show_every": at + 1}
    if at + 1 < STEPS:
        with pytest.raises(StoppedError):
            run(tmp_path, ask, **options)
    else:
        run(tmp_path, ask, **options)
    assert Checkpoint(tmp_path).load()[0] == at + 1
    assert not shown
