"""A training that is stopped anywhere ends as if it had not been."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
TRAININGS = {
    "encoder": ("encoders", "vit"),
    "autoencoder": ("autoencoders", "vqgan"),
    "extractor": ("extractors", "cnn"),
    "stage1": ("stage1", "cond"),
    "stage1_averaged": ("stage1", "uncond"),
    "stage2_autoregressive": ("stage2", "ar"),
    "stage2_masked": ("stage2", "nar"),
}
EVERY = {"log_every": 4, "checkpoint_every": 3}


@pytest.fixture(params=TRAININGS)
def training(request) -> tuple[str, str]:
    """Each training: its section and variant."""
    return TRAININGS[request.param]


@pytest.fixture
def undisturbed(pipeline, training) -> Path:
    """The card of a training that nobody stopped."""
    return pipeline.card(*training)


def saved_state(out: Path) -> Path | None:
    """The checkpoint below a folder of results."""
    return next(out.glob("resume/*/*/state.pt"), None)


def stop(processes, command, out: Path, sign: signal.Signals) -> tuple[int, str]:
    """Starts a training and signals it as soon as it saves its next state."""
    out.mkdir(exist_ok=True)
    before, log = _version(saved_state(out)), out / "log.txt"
    number = processes.start(command, log)
    deadline = time.monotonic() + 60
    while _version(saved_state(out)) in (before, None):
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.001)
    os.kill(number, sign)
    return processes.wait(number), log.read_text()


def _version(path: Path | None) -> tuple[int, int] | None:
    # A state is replaced, never removed in between.
    return (path.stat().st_ino, path.stat().st_mtime_ns) if path else None


def assert_equal(whole: Path, card: Path) -> None:
    """Both trainings made the same model and logged the same lines, each update once."""
    first, second = (json.loads(path.read_text()) for path in (whole, card))
    assert second["digest"] == first["digest"]
    for name in ("model.safetensors", "model.json", "metrics.jsonl"):
        assert (card.parent / name).read_bytes() == (whole.parent / name).read_bytes()
    lines = (card.parent / "metrics.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in lines]
    total = first["results"]["steps"]
    assert steps == [1, *range(4, total + 1, 4)]


def test_killed_twice(pipeline, processes, training, undisturbed, tmp_path):
    """SIGKILL after a checkpoint, then again after a later one: equal weights in the end."""
    out = tmp_path / "killed"
    command = pipeline.command(*training, out, **EVERY)
    card = pipeline.card(*training, out)
    for _ in range(2):
        status, _ = stop(processes, command, out, signal.SIGKILL)
        assert status == -signal.SIGKILL
        assert not card.exists()
        assert not (card.parent / "model.safetensors").exists()
    content = pipeline.run(*training, out, **EVERY)
    assert 6 <= content["run"]["resumed_at"] < content["results"]["steps"]
    assert_equal(undisturbed, card)
    assert not list(out.glob("resume/*/*"))


def test_asked_to_stop(pipeline, processes, training, undisturbed, tmp_path):
    """SIGTERM, as a scheduler sends it: the state of that moment is saved, the job has failed."""
    out = tmp_path / "stopped"
    status, log = stop(processes, pipeline.command(*training, out, **EVERY), out, signal.SIGTERM)
    card = pipeline.card(*training, out)
    assert status == 1
    assert not card.exists()
    assert "Traceback" not in log
    assert log.splitlines()[-1].endswith("run again to go on from there")
    saved = int(log.rpartition("saved after update ")[2].split()[0])
    content = pipeline.run(*training, out, **EVERY)
    assert content["run"]["resumed_at"] == saved >= 3
    assert_equal(undisturbed, card)
    assert not list(out.glob("resume/*/*"))


def test_killed_before_the_card(pipeline, processes, tmp_path):
    """All updates are done and the model is written, the card is not: nothing is trained again."""
    training, out = ("stage1", "cond"), tmp_path / "killed"
    command, card = pipeline.command(*training, out, **EVERY), pipeline.card(*training, out)
    states = 24 // 3
    for files in (0, 1, 2, 3):  # weights, config, metrics, card
        log = tmp_path / "log.txt"
        # The first run saves its states before; all begin with the owner and the metrics.
        number = processes.start(command, log, die_at=2 + files + (0 if files else states))
        assert processes.wait(number) == -signal.SIGKILL, log.read_text()
        assert not card.exists()
    content = pipeline.run(*training, out, **EVERY)
    assert content["run"]["resumed_at"] == 24
    assert_equal(pipeline.card(*training), card)


def test_a_changed_setting_starts_over(pipeline, processes, tmp_path):
    """The state of other settings is left alone: it may be wanted again."""
    out = tmp_path / "out"
    command = pipeline.command("stage1", "cond", out, **EVERY)
    stop(processes, command, out, signal.SIGKILL)
    old = saved_state(out)
    changed = pipeline.changed({"stage1.cond.training.learning_rate": 2e-3})
    content = changed.run("stage1", "cond", out, **EVERY)
    assert content["run"]["resumed_at"] == 0
    assert saved_state(out) == old
    back = pipeline.run("stage1", "cond", out, **EVERY)
    assert back["run"]["resumed_at"] >= 3
    assert back["digest"] == pipeline.read("stage1", "cond")["digest"]


def test_a_changed_input_starts_over(pipeline, processes, tmp_path):
    """Other tokens under equal settings give another resume folder: inputs count by content."""
    out = tmp_path / "out"
    stop(processes, pipeline.command("stage1", "cond", out, **EVERY), out, signal.SIGKILL)
    card = pipeline.copy("tokens", "semantic", tmp_path / "doctored")
    content = json.loads(card.read_text())
    content["results"]["another"] = "number"
    card.write_text(json.dumps(content))
    pipeline.stamp(card)
    made = pipeline.run("stage1", "cond", out, **EVERY, tokens=card)
    assert made["run"]["resumed_at"] == 0


def test_hardware_knobs_resume(pipeline, processes, tmp_path):
    """How often is logged and saved may change between the runs: the weights do not."""
    out = tmp_path / "out"
    stop(processes, pipeline.command("stage1", "cond", out, **EVERY), out, signal.SIGKILL)
    content = pipeline.run("stage1", "cond", out, log_every=24, checkpoint_every=1000)
    assert content["run"]["resumed_at"] >= 3
    assert content["digest"] == pipeline.read("stage1", "cond")["digest"]
