"""A training that cannot go on says why and keeps what it has."""

import errno
import itertools
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import tessera.stages.training
from tessera.train import checkpoints
from tessera.train.dino import DINOTask

EVERY = {"log_every": 4, "checkpoint_every": 3}


def state_of(out: Path) -> Path:
    """The only checkpoint below a folder of results."""
    (state,) = out.glob("resume/*/*/state.pt")
    return state


@pytest.fixture
def stopped(pipeline, tmp_path, monkeypatch) -> Path:
    """A folder of results in which a training broke off after 6 updates, the disk being full."""
    save, count = torch.save, 0

    def full(value, stream):
        nonlocal count
        count += 1
        if count > 2:
            stream.write(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(value, stream)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        outcome = pipeline.call("stage1", "cond", tmp_path / "out", **EVERY)
    assert "no space is left on the disk that holds" in outcome.error
    assert "free some" in outcome.error
    return tmp_path / "out"


def test_a_full_disk_keeps_the_earlier_checkpoint(pipeline, stopped):
    """The training goes on from it once there is room, and ends as if nothing had been."""
    assert [path.name for path in state_of(stopped).parent.iterdir() if path.suffix == ".tmp"] == []
    assert checkpoints.Checkpoint(state_of(stopped).parent).load()[0] == 6
    made = pipeline.run("stage1", "cond", stopped, **EVERY)
    assert made["run"]["resumed_at"] == 6
    assert made["digest"] == pipeline.read("stage1", "cond")["digest"]


def test_torch_reports_a_full_disk_in_its_own_words(pipeline, tmp_path, monkeypatch):
    """Its writer raises a RuntimeError that names no errno."""

    def full(value, path):
        raise RuntimeError("[enforce fail at inline_container.cc:668] . PytorchStreamWriter failed")

    monkeypatch.setattr(torch, "save", full)
    outcome = pipeline.call("stage1", "cond", tmp_path, **EVERY)
    assert "no space is left" in outcome.error


def test_a_full_disk_at_the_weights(pipeline, tmp_path, monkeypatch):
    """The last files are written when all updates are done: those are not lost."""

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tessera.stages.training, "save_model", full)
        outcome = pipeline.call("stage1", "cond", tmp_path, **EVERY)
    assert "no space is left" in outcome.error
    assert not pipeline.card("stage1", "cond", tmp_path).exists()
    assert pipeline.run("stage1", "cond", tmp_path, **EVERY)["run"]["resumed_at"] == 24


@pytest.fixture
def break_off(pipeline, tmp_path, monkeypatch) -> Callable[[int], Path]:
    """Lets a training fail when it has saved some states; returns the last one's file."""

    def run(saves: int) -> Path:
        save, count = checkpoints.Checkpoint.save, itertools.count(1)

        def failing(checkpoint, step, state):
            if next(count) > saves:
                raise OSError(errno.ENOSPC, "No space left on device")
            save(checkpoint, step, state)

        with monkeypatch.context() as patch:
            patch.setattr(checkpoints.Checkpoint, "save", failing)
            assert pipeline.call("stage1", "cond", tmp_path, **EVERY).error
        return state_of(tmp_path)

    return run


def truncate(state: Path) -> None:
    """As a disk may do after the program has written it well."""
    state.write_bytes(state.read_bytes()[: state.stat().st_size // 2])


def flip(state: Path) -> None:
    """One bit, in the weights that make up most of the file."""
    content = bytearray(state.read_bytes())
    content[len(content) // 2] ^= 1
    state.write_bytes(content)


@pytest.mark.parametrize("damage", [truncate, flip])
def test_a_damaged_checkpoint(pipeline, tmp_path, break_off, damage):
    """The training goes on from the one before, and ends as if nothing had been."""
    state = break_off(2)
    damage(state)
    outcome = pipeline.call("stage1", "cond", tmp_path, **EVERY)
    assert f"the checkpoint {state} is damaged" in outcome.text
    made = pipeline.read("stage1", "cond", tmp_path)
    assert made["run"]["resumed_at"] == 3
    assert made["digest"] == pipeline.read("stage1", "cond")["digest"]


def test_half_a_checkpoint_and_no_other(pipeline, tmp_path, break_off):
    """Cut off by something else than the program: the file is named, and what to do."""
    state = break_off(1)
    truncate(state)
    outcome = pipeline.call("stage1", "cond", tmp_path, **EVERY)
    assert f"the checkpoint {state} is damaged" in outcome.error
    assert "delete its folder and run again" in outcome.error


class Hostile:
    """Pickled, it would leave a file where it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_a_checkpoint_with_code(pipeline, stopped, tmp_path):
    """It is refused, and the code is not run."""
    mark = tmp_path / "mark"
    torch.save({"step": 6, "state": Hostile(mark)}, state_of(stopped))
    outcome = pipeline.call("stage1", "cond", stopped, **EVERY)
    assert "is damaged" in outcome.error
    assert not mark.exists()


def test_a_checkpoint_of_another_model(pipeline, stopped):
    """As after a change of the code that nobody gave a new version."""
    state = state_of(stopped)
    saved = torch.load(state, weights_only=True)
    name = next(iter(saved["state"]["model"]))
    saved["state"]["model"][name] = torch.zeros(3)
    torch.save(saved, state)
    outcome = pipeline.call("stage1", "cond", stopped, **EVERY)
    assert f"the checkpoint {state} does not fit" in outcome.error
    assert name in outcome.error
    assert "delete its folder" in outcome.error


DIVERGING = [
    ("stage1", "cond", {"training.learning_rate": 1e30, "training.warmup": 0}),
    ("stage2", "nar", {"training.learning_rate": 1e30, "training.warmup": 0}),
    ("encoders", "vit", {"training.learning_rate": 1e30, "training.warmup": 0}),
    ("autoencoders", "vqgan", {"training.learning_rate": 1e30, "training.warmup": 0}),
    ("extractors", "cnn", {"learning_rate": 1e30}),
]


@pytest.mark.parametrize(("section", "name", "values"), DIVERGING, ids=lambda v: str(v)[:12])
def test_a_loss_that_is_no_number(pipeline, tmp_path, section, name, values):
    """The update is named, and what may help; no model is left."""
    wild = pipeline.changed({f"{section}.{name}.{key}": value for key, value in values.items()})
    outcome = wild.call(section, name, tmp_path, log_every=1, checkpoint_every=1)
    assert re.search(r"\w+ is (nan|inf) after update \d+: lower the learning rate", outcome.error)
    assert "checkpoint is kept" in outcome.error
    assert not pipeline.card(section, name, tmp_path).parent.exists()


def test_an_only_update_that_breaks_the_weights(pipeline, tmp_path):
    """The loss was measured before the update and is a number; that of the validation is none."""
    values = {"steps": 1, "learning_rate": 1e37, "warmup": 0}
    wild = pipeline.changed({f"stage1.vq.training.{key}": value for key, value in values.items()})
    outcome = wild.call("stage1", "vq", tmp_path)
    assert "validation_loss is nan after update 1: lower the learning rate" in outcome.error
    assert not pipeline.card("stage1", "vq", tmp_path).parent.exists()


def test_a_broken_weight_of_a_model_without_validation(pipeline, tmp_path, monkeypatch):
    """No number of the encoder's training tells: the weights themselves are looked at."""
    update = DINOTask.update

    def breaking(task, step):
        metrics = update(task, step)
        task.encoder.pos_embed[:] = float("nan") if step == 15 else 0.0
        return metrics

    monkeypatch.setattr(DINOTask, "update", breaking)
    outcome = pipeline.call("encoders", "vit", tmp_path)
    assert "the weight pos_embed is no longer finite after update 16" in outcome.error
    assert "lower the learning rate" in outcome.error
    assert not pipeline.card("encoders", "vit", tmp_path).parent.exists()


def test_lines_are_numbers(pipeline):
    """metrics.jsonl holds no NaN, which is no JSON."""
    card = pipeline.card("stage1", "cond")
    for line in (card.parent / "metrics.jsonl").read_text().splitlines():
        values = json.loads(line, parse_constant=lambda name: pytest.fail(name))
        assert {"step", "loss", "learning_rate", "gradient_norm"} <= values.keys()
        assert all(abs(value) < sys.float_info.max for value in values.values())
