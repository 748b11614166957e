"""What lies in a results folder: cards, found by their places, and the states of trainings."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tessera.config.jobs import INDEX
from tessera.errors import UserError
from tessera.io.cards import open_card

DAMAGED = "damaged"
"""The folder of what `tessera repair` took out of the way."""

_PART = re.compile(r"part-\d{4}-of-\d{4}\.json")
_LISTED = ("evaluations", "neighbours", "probes")  # a card an entry, named after it
_OTHERS = (DAMAGED, "resume", "logs", "benchmarks", "tensorboard")  # hold no cards


@dataclass(frozen=True)
class Stored:
    """A card on disk.

    Attributes:
        path: the card's file.
        content: what it says; None where it cannot be read or was altered.
        problem: why, if so: "is no valid JSON".
    """

    path: Path
    content: dict[str, Any] | None
    problem: str = ""

    @property
    def outputs(self) -> dict[Path, dict[str, Any]]:
        """The files that the card tells of, and what it tells of each."""
        entries = self.content["outputs"] if self.content else {}
        return {self.path.parent / name: entry for name, entry in entries.items()}

    @property
    def inputs(self) -> dict[str, str]:
        """Input → digest of the card that it was read by."""
        return dict(self.content["inputs"]) if self.content else {}


def find_cards(results: Path) -> list[Stored]:
    """All cards of a results folder, whatever config they were made by."""
    return [read_stored(path) for path in sorted(_places(results))]


def read_stored(path: Path) -> Stored:
    """Reads a card that may be damaged."""
    try:
        return Stored(path, open_card(path))
    except UserError as error:
        # The sentence is "<path> <what is wrong>: <what to do>".
        return Stored(path, None, str(error).removeprefix(f"{path} ").rpartition(": ")[0])


def find_states(results: Path) -> list[Path]:
    """The saved states of all unfinished trainings."""
    return sorted(results.glob("resume/*/*/*.pt"))


def _places(results: Path) -> Iterator[Path]:
    if (index := results / f"{INDEX}.json").is_file():
        yield index
    for folder in sorted(results.iterdir()) if results.is_dir() else ():
        if folder.is_dir() and folder.name not in _OTHERS:
            for path in folder.rglob("*.json"):
                if (
                    path.name == "card.json"
                    or _PART.fullmatch(path.name)
                    or (folder.name in _LISTED and path.parent.parent == folder)
                ):
                    yield path
