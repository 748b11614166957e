"""Metrics of a training while it runs."""

import io
import json
import logging

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tessera.train.trackers import Tracker


def steps_of(path) -> list[int]:
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def write(path, steps, done=0, tensorboard=None) -> None:
    tracker = Tracker(path, 100, tensorboard, done=done)
    for step in steps:
        tracker.write(step, {"loss": 1 / step, "learning_rate": 1e-3})
    tracker.close()


def test_a_line_an_update(tmp_path):
    """Step and metrics as JSON, in a folder made for them."""
    path = tmp_path / "a" / "metrics.jsonl"
    write(path, [1, 10])
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines == [
        {"step": 1, "loss": 1.0, "learning_rate": 1e-3},
        {"step": 10, "loss": 0.1, "learning_rate": 1e-3},
    ]


def test_numbers_come_back_exactly(tmp_path):
    """A loss is written with all its digits."""
    tracker = Tracker(tmp_path / "m.jsonl", 10)
    tracker.write(1, {"loss": 0.1 + 0.2})
    assert json.loads((tmp_path / "m.jsonl").read_text())["loss"] == 0.1 + 0.2


@pytest.mark.parametrize(("done", "kept"), [(20, [1, 10, 20]), (25, [1, 10, 20]), (5, [1])])
def test_a_resumed_training_drops_later_lines(tmp_path, done, kept):
    """They are written again, so the file reads as if nothing had happened."""
    path = tmp_path / "m.jsonl"
    write(path, [1, 10, 20, 30])
    Tracker(path, 100, done=done)
    assert steps_of(path) == kept


def test_a_new_training_begins_a_new_file(tmp_path):
    """Lines without a checkpoint belong to nothing."""
    path = tmp_path / "m.jsonl"
    write(path, [1, 10])
    write(path, [1])
    assert steps_of(path) == [1]


@pytest.mark.parametrize("rest", ['{"step": 3', '{"step": 30, "lo', "{", '{"step": 30, "loss": 1.'])
def test_a_truncated_last_line(tmp_path, rest):
    """A killed process may leave one; what comes next begins on a line of its own."""
    path = tmp_path / "m.jsonl"
    write(path, [1, 10, 20])
    with path.open("a") as file:
        file.write(rest)
    write(path, [30], done=25)
    assert steps_of(path) == [1, 10, 20, 30]


def test_the_lines_are_gone(tmp_path):
    """A checkpoint without its lines goes on without them."""
    path = tmp_path / "m.jsonl"
    write(path, [30], done=25)
    assert steps_of(path) == [30]


def test_a_kill_while_lines_are_dropped(tmp_path, monkeypatch):
    """The earlier lines are not lost: the shorter file takes the longer one's place as a whole."""
    path = tmp_path / "m.jsonl"
    write(path, [1, 10, 20])

    def killed(handle):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", killed)
        with pytest.raises(KeyboardInterrupt):
            Tracker(path, 100, done=15)
    assert steps_of(path) == [1, 10, 20]


def events(folder) -> dict[int, float]:
    """Step → loss, as TensorBoard shows it."""
    read = EventAccumulator(str(folder))
    read.Reload()
    return {event.step: event.value for event in read.Scalars("loss")}


def test_tensorboard(tmp_path):
    """The same metrics; a new training replaces the old events, a resumed one goes on."""
    folder = tmp_path / "events"
    write(tmp_path / "m.jsonl", [1, 10, 20, 30], tensorboard=folder)
    assert events(folder) == pytest.approx({1: 1, 10: 0.1, 20: 0.05, 30: 1 / 30})
    write(tmp_path / "m.jsonl", [1, 10, 20], tensorboard=folder)
    assert list(events(folder)) == [1, 10, 20]


def test_pictures(tmp_path):
    """As they were given, each under its name and update."""
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    tracker = Tracker(tmp_path / "m.jsonl", 100, tmp_path / "events")
    tracker.show(10, {"a": picture, "b": 255 - picture})
    tracker.close()
    read = EventAccumulator(str(tmp_path / "events"))
    read.Reload()
    for name, expected in (("a", picture), ("b", 255 - picture)):
        (event,) = read.Images(f"pictures/{name}")
        assert event.step == 10
        shown = np.asarray(Image.open(io.BytesIO(event.encoded_image_string)))
        assert np.array_equal(shown, expected)


def test_what_is_flushed_outlives_a_kill(tmp_path):
    """A resumed training does not repeat it."""
    tracker = Tracker(tmp_path / "m.jsonl", 100, tmp_path / "events")
    tracker.write(10, {"loss": 0.5})
    tracker.flush()
    assert events(tmp_path / "events") == {10: 0.5}  # while the tracker is still open


def test_log_lines(tmp_path, caplog):
    """Update, all updates, metrics and the time left."""
    with caplog.at_level(logging.INFO):
        write(tmp_path / "m.jsonl", [50])
    assert "update 50 of 100  loss 0.02  learning_rate 0.001  (0 s left)" in caplog.text
