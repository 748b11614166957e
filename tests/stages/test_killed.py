"""A stage that is killed leaves nothing that looks complete, and runs again as if new."""

import os
import random
import signal
import time

import pytest

from tessera.io.cards import read_card

pytestmark = pytest.mark.slow
STAGES = [
    ("data", "shapes", 6),  # four shards, the index and the card
    ("features", "vit", 2),
    ("codebooks", "k8", 2),
    ("tokens", "codes", 2),
    ("samplings", "cond_ar", 2),
    ("samples", "cond_ar", 3),
]


def named_files(folder) -> dict:
    """What a reader would take for a result: no temporary files. Path → bytes."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder): path.read_bytes()
        for path in files
        if not (path.name.startswith(".") and path.suffix == ".tmp")
    }


@pytest.mark.parametrize(("section", "name", "files"), STAGES)
def test_killed_at_every_file(pipeline, processes, tmp_path, section, name, files):
    """SIGKILL before each file gets its name, where the most is at stake."""
    out, log = tmp_path / "out", tmp_path / "log.txt"
    command = pipeline.command(section, name, out)
    card = pipeline.card(section, name, out)
    whole = pipeline.read(section, name)
    wanted = named_files(pipeline.card(section, name).parent)
    for file in range(files):
        number = processes.start(command, log, die_at=file)
        assert processes.wait(number) == -signal.SIGKILL, log.read_text()
        assert not card.exists()
        found = named_files(card.parent)
        assert all(content == wanted[path] for path, content in found.items())
        assert any(path.suffix == ".tmp" for path in card.parent.iterdir())
    number = processes.start(command, log, die_at=files)  # there is no such file: it ends
    assert processes.wait(number) == 0, log.read_text()
    made = read_card(card)
    assert made["digest"] == whole["digest"]
    assert made["outputs"] == whole["outputs"]  # the temporary files of the dead are none of it


@pytest.mark.parametrize(("section", "name", "files"), STAGES)
def test_killed_at_some_moment(pipeline, processes, tmp_path, section, name, files):
    """SIGKILL after a random time: no card, or a true one."""
    out, log = tmp_path / "out", tmp_path / "log.txt"
    command = pipeline.command(section, name, out)
    seconds = pipeline.read(section, name)["run"]["seconds"]
    draw = random.Random(f"{section}/{name}")
    for _ in range(3):
        number = processes.start(command, log)
        time.sleep(draw.uniform(0, seconds))
        os.kill(number, signal.SIGKILL)
        assert processes.wait(number) in (0, -signal.SIGKILL), log.read_text()
        card = pipeline.card(section, name, out)
        if card.exists():
            read_card(card)
            card.unlink()
    made = pipeline.run(section, name, out)
    assert made["digest"] == pipeline.read(section, name)["digest"]
