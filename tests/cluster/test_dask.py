"""The codes of a token set, counted by workers that the stage starts on SLURM."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tessera.config.load import load
from tessera.config.resolve import node, settings_text
from tessera.io.cards import read_card, write_card
from tessera.io.parts import write_part

pytest.importorskip("dask_jobqueue", reason="needs the extra `cluster`")
pytestmark = [pytest.mark.cluster, pytest.mark.slow]

IMAGES, PARTS, CLASSES, CODES = 131_072, 16, 10, 128
WORKERS, MEMORY_MB = 2, 500
"""Of 1 GiB in all; dask ends a worker at 95 % of its memory, and SLURM the job."""


@pytest.fixture(scope="module")
def tokens(tmp_path_factory, repo) -> tuple[list[Path], np.ndarray, str]:
    """A token set of 1 GiB (links to one file of 64 MiB): its cards, table and settings."""
    folder = tmp_path_factory.mktemp("results") / "tokens" / "semantic" / "train"
    config = load([repo / "config.yaml"])
    draw = np.random.default_rng(0)
    codes = draw.integers(0, CODES - 3, (IMAGES, 1, 256), np.uint16)
    labels = np.sort(draw.integers(0, CLASSES, IMAGES))
    rows = [codes[labels == label].ravel() for label in range(CLASSES)]
    table = PARTS * np.stack([np.bincount(row, minlength=CODES) for row in rows])
    results = {"images": IMAGES, "views": 1, "kind": "codebook", "vocabulary": CODES}
    cards = []
    for i in range(PARTS):
        card = folder / f"part-{i:04d}-of-{PARTS:04d}.json"
        part = card.with_suffix(".zarr.zip")
        if cards:
            os.link(cards[0].with_suffix(".zarr.zip"), part)
        else:
            attributes = {"vocabulary": CODES, "classes": [f"digit {i}" for i in range(CLASSES)]}
            write_part(part, {"codes": codes, "label": labels}, attributes)
        write_card(card, node(config, "tokens", "semantic"), {}, [part], results, {})
        cards.append(card)
    return cards, table, settings_text(config, "tokens", "semantic", stage="usage")


def test_workers_on_slurm_count_what_is_larger_than_their_memory(slurm, tokens, repo):
    """Two jobs of 500 MB count 1 GiB, are killed for nothing, and are gone afterwards."""
    cards, table, settings = tokens
    results = cards[0].parents[3]
    card = results / "usage" / "semantic" / "card.json"
    asked = {"workers": WORKERS, "memory_mb": MEMORY_MB, "runtime_minutes": 10, "wait_minutes": 5}
    words = [
        *("--settings", settings, "--card", str(card)),
        *("--dask", json.dumps({"scheduler": "slurm", "slurm": asked})),
        *("--tokens", *map(str, cards)),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "tessera.stages.usage", *words],
        env=os.environ | {"PYTHONPATH": str(repo / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with np.load(card.parent / "histograms.npz") as made:
        assert np.array_equal(made["by_class"], table)
    assert read_card(card, "usage")["run"]["scheduler"] == "slurm"

    def workers(what: str) -> list[str]:
        return slurm.ask("squeue", "-h", "--states=all", "--name=dask-worker", "-o", what).split()

    assert workers("%m") == [f"{MEMORY_MB}M"] * WORKERS
    slurm.wait_for(lambda: workers("%T") == ["CANCELLED"] * WORKERS, "end of the workers")
    logs = "".join(log.read_text() for log in (results / "logs" / "dask").iterdir())
    assert logs.count("Registered to: ") == WORKERS  # each worker once: none began again
    assert "memory budget" not in logs
