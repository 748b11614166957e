"""Results with the cards of a chain: images → encoder → features (two parts) → codebook."""

import os
from pathlib import Path
from typing import Any

import pytest

from tessera.config.jobs import Planned
from tessera.io.cards import open_card, write_card


def node(stage: str, **inputs: Any) -> dict[str, Any]:
    """What a job is given."""
    return {"stage": stage, "version": 1, "settings": {"of": stage}, "inputs": inputs}


SHARDS = node("shards")
ENCODER = node("encoder", data=SHARDS)
FEATURES = node("features", encoder=ENCODER, views={"settings": {}, "inputs": {"data": SHARDS}})
CODEBOOK = node("codebook", features=FEATURES)


class Folder:
    """Results and the jobs that would make them.

    Attributes:
        results: the folder.
        planned: the jobs.
    """

    def __init__(self, results: Path) -> None:
        self.results = results
        self.planned: list[Planned] = []

    def make(
        self,
        name: str,
        made_of: dict[str, Any],
        inputs: dict[str, str],
        section: str,
        part: int = 0,
        parts: int = 1,
    ) -> str:
        """Writes a card and a file beside it, a second younger than the one before; its digest."""
        card, number = self.results / name, len(self.planned)
        card.parent.mkdir(parents=True, exist_ok=True)
        file = card.with_suffix(".bin")
        file.write_text(f"{name} of {sorted(inputs.items())}")
        write_card(card, made_of, inputs, [file], {"n": number}, {"seconds": 2.5})
        for path in (file, card):
            os.utime(path, ns=(0, (1_000_000 + number) * 10**9))
        self.planned.append(
            Planned(
                made_of["stage"], section, card.parent.name, None, None, part, parts, str(card),
                made_of,
            )
        )  # fmt: skip
        return self.digest(name)

    def digest(self, name: str) -> str:
        """The digest in a card."""
        return str(open_card(self.results / name)["digest"])


PART = "features/dino/part-000{}-of-0002.json"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """All results are there and whole."""
    made = Folder(tmp_path / "results")
    shards = made.make("shards/digits/card.json", SHARDS, {}, "data")
    inputs = {"shards": shards}
    inputs["encoder"] = made.make("encoders/dino/card.json", ENCODER, dict(inputs), "encoders")
    parts = {
        f"features/{Path(PART.format(part)).name}": made.make(
            PART.format(part), FEATURES, inputs, "features", part, 2
        )
        for part in range(2)
    }
    made.make("codebooks/k8/card.json", CODEBOOK, parts, "codebooks")
    return made
