"""A stage that is killed leaves nothing that looks complete, and runs again as if new."""

import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from tessera.config.canonical import canonical_json
from tessera.config.jobs import jobs, node_of
from tessera.config.load import load
from tessera.config.resolve import stage_node
from tessera.io.cards import read_card

pytestmark = pytest.mark.slow

CAPTIONS = Path(__file__).parents[2] / "rules" / "captions"
STAGES = [
    ("data", "shapes", 6),  # four shards, the index and the card
    ("features", "vit", 2),
    ("codebooks", "k8", 2),
    ("tokens", "codes", 2),
    ("samplings", "cond_ar", 2),
    ("samples", "cond_ar", 3),
    ("evaluations", "shapes", 1),
    ("neighbours", "shapes", 2),
    ("reconstructions", "vqgan", 2),
    ("stabilities", "noise", 1),
    ("projections", "toy", 2),
    ("patches", "semantic", 2),
]
WHICH = {section: {"each": "cond_ar"} for section in ("evaluations", "neighbours")}


def named_files(folder) -> dict:
    """What a reader would take for a result: no hidden files. Path → bytes."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder): path.read_bytes()
        for path in files
        if not path.name.startswith(".")
    }


@pytest.mark.parametrize(("section", "name", "files"), STAGES)
def test_killed_at_every_file(pipeline, processes, tmp_path, section, name, files):
    """SIGKILL before each file gets its name, where the most is at stake."""
    out, log, which = tmp_path / "out", tmp_path / "log.txt", WHICH.get(section, {})
    command = pipeline.command(section, name, out, **which)
    card = pipeline.card(section, name, out, **which)
    whole = pipeline.read(section, name, **which)
    wanted = named_files(pipeline.card(section, name, **which).parent)
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
    out, log, which = tmp_path / "out", tmp_path / "log.txt", WHICH.get(section, {})
    command = pipeline.command(section, name, out, **which)
    seconds = pipeline.read(section, name, **which)["run"]["seconds"]
    draw = random.Random(f"{section}/{name}")
    for _ in range(3):
        number = processes.start(command, log)
        time.sleep(draw.uniform(0, seconds))
        os.kill(number, signal.SIGKILL)
        assert processes.wait(number) in (0, -signal.SIGKILL), log.read_text()
        card = pipeline.card(section, name, out, **which)
        if card.exists():
            read_card(card)
            card.unlink()
    made = pipeline.run(section, name, out, **which)
    assert made["digest"] == pipeline.read(section, name, **which)["digest"]


@pytest.mark.parametrize("stage", ["tables", "figures"])
def test_the_paper_killed_at_some_files(pipeline, processes, tmp_path, stage):
    """Tables and figures, before the first file, one in the middle, and the card."""
    results, log = tmp_path / "results", tmp_path / "log.txt"
    shutil.copytree(pipeline.results, results)
    config = tmp_path / "config.json"
    config.write_text(json.dumps(pipeline.raw | {"results": str(results)}))
    cards = [job.card for job in jobs(load([config])) if Path(job.card).exists()]
    settings = canonical_json(stage_node(stage, {}))

    def command(folder: Path) -> tuple[str, list[str]]:
        words = ["--settings", settings, "--cards", *cards, "--config", str(config)]
        return stage, [*words, "--card", str(folder / "card.json")]

    whole = results / "whole"
    assert processes.wait(processes.start(command(whole), log)) == 0, log.read_text()
    wanted, card = named_files(whole), results / stage / "card.json"
    for file in (0, len(wanted) // 2, len(wanted) - 1):
        number = processes.start(command(card.parent), log, die_at=file)
        assert processes.wait(number) == -signal.SIGKILL, log.read_text()
        assert not card.exists()
        assert all(content == wanted[path] for path, content in named_files(card.parent).items())
    assert processes.wait(processes.start(command(card.parent), log)) == 0, log.read_text()
    assert read_card(card)["outputs"] == read_card(whole / "card.json")["outputs"]


def test_the_page_killed_at_its_files(pipeline, processes, tmp_path):
    """The index page, before itself and before its card."""
    results, log = tmp_path / "results", tmp_path / "log.txt"
    shutil.copytree(pipeline.results, results)
    file = tmp_path / "config.json"
    file.write_text(json.dumps(pipeline.raw | {"results": str(results)}))
    config = load([file])
    cards = [job.card for job in jobs(config) if Path(job.card).exists()]
    index, shown = results / "index.json", {}

    def command(stage: str, card: Path, *more: str) -> tuple[str, list[str]]:
        settings = canonical_json(node_of(config, stage, "", "", None))
        words = ["--settings", settings, "--cards", *cards, "--config", str(file), *more]
        return stage, [*words, "--card", str(card)]

    for stage in ("tables", "figures"):
        shown[stage] = results / stage / "card.json"
        assert processes.wait(processes.start(command(stage, shown[stage]), log)) == 0
    page = command(
        "index", index, "--captions", str(CAPTIONS),
        *(word for stage, card in shown.items() for word in (f"--{stage}", str(card))),
    )  # fmt: skip
    for number in (0, 1):
        assert processes.wait(processes.start(page, log, die_at=number)) == -signal.SIGKILL
        assert not index.exists()
        assert (results / "index.html").exists() == bool(number)
    assert processes.wait(processes.start(page, log)) == 0, log.read_text()
    assert list(read_card(index, "index")["outputs"]) == ["index.html"]
