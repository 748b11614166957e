"""A finished run with its tables, figures, pictures and index page: cards and numbers made up."""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from tests.unit.report.conftest import FakeRun

from tessera.config.canonical import canonical_json
from tessera.config.jobs import INDEX, jobs, node_of
from tessera.io.cards import write_card
from tessera.report.pictures.catalogue import pictures
from tessera.stages import figures, index, tables

CAPTIONS = Path(__file__).parents[3] / "rules" / "captions"


def draw_pictures(run: FakeRun) -> None:
    """Every picture that a report shows, with the card of the job that draws it."""
    nodes = {job.card: job.node for job in jobs(run.config)}
    for number, picture in enumerate(pictures(run.config)):
        card, file = run.results / picture.card, run.results / picture.file
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(file)
        told = json.loads(card.read_text()) if card.is_file() else {"results": {"count": 1}}
        facts = {"seconds": 1.0, "device": "cpu"}
        write_card(card, nodes[f"results/{picture.card}"], {}, [file], told["results"], facts)
        if card not in run.files:
            run.files.append(card)


def write_config(run: FakeRun, **changes: str) -> Path:
    """The run's config as a file."""
    file = run.folder / "config.json"  # JSON is YAML
    file.write_text(json.dumps({**run.raw, **changes}))  # with its sweeps
    return file


def command(run: FakeRun, config: Path) -> list[str]:
    """The command line of the stage `index`, as its rule gives it."""
    cards = [str(file) for file in run.files if "part-0001" not in file.name]
    return [
        "--settings", canonical_json(node_of(run.config, INDEX, "", "", None)),
        "--cards", *cards, "--config", str(config), "--captions", str(CAPTIONS),
        "--tables", str(run.results / "tables" / "card.json"),
        "--figures", str(run.results / "figures" / "card.json"),
        "--card", str(run.results / "index.json"),
    ]  # fmt: skip


def report(run: FakeRun, **changes: str) -> Path:
    """Makes tables, figures, pictures and the page of a finished run; returns the page."""
    draw_pictures(run)
    config = write_config(run, **changes)
    for stage in (tables, figures):
        assert stage.main(run.command(stage.STAGE, "--config", str(config))) == 0
    assert index.main(command(run, config)) == 0
    return run.results / "index.html"
