"""Whether files are what their cards say: sizes, shapes and digests, several files at once."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tessera.integrity.inventory import Stored
from tessera.io.cards import fault
from tessera.io.states import state_fault

Seen = Callable[[int], None]
"""Called with the size of each file that was read, in bytes, by any of the threads."""

THREADS = min(8, os.cpu_count() or 1)
"""Digests are computed outside of Python's lock; with more threads the disk is the limit."""


@dataclass(frozen=True)
class Problem:
    """Something that is not what it was.

    Attributes:
        file: what is damaged.
        what: what is wrong with it, such as "is missing".
        card: the card that tells of the file, or the damaged card itself; None for a saved state.
    """

    file: Path
    what: str
    card: Path | None

    def __str__(self) -> str:
        return f"{self.file} {self.what}"


def check_cards(cards: Sequence[Stored], seen: Seen) -> list[Problem]:
    """Reads every file that the cards tell of; returns what is damaged."""
    found = [
        Problem(stored.path, stored.problem, stored.path)
        for stored in cards
        if stored.content is None
    ]
    files = [(stored.path, file) for stored in cards for file in stored.outputs]
    entries = [entry for stored in cards for entry in stored.outputs.values()]

    def check(file: tuple[Path, Path], entry: dict[str, int]) -> Problem | None:
        what = fault(file[1], entry)
        seen(entry["bytes"])
        return Problem(file[1], what, file[0]) if what else None

    with ThreadPoolExecutor(THREADS) as pool:
        return found + [problem for problem in pool.map(check, files, entries) if problem]


def check_states(states: Sequence[Path], seen: Seen) -> list[Problem]:
    """Reads the saved states of unfinished trainings; returns those that are not whole."""

    def check(state: Path) -> Problem | None:
        what, size = state_fault(state), file_size(state)
        seen(size)
        return Problem(state, what, None) if what and state.exists() else None

    with ThreadPoolExecutor(THREADS) as pool:
        return [problem for problem in pool.map(check, states) if problem]


def file_size(path: Path) -> int:
    """A file's bytes; 0 for one that its training has replaced or removed just now."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def total_bytes(cards: Sequence[Stored], states: Sequence[Path]) -> int:
    """What `check_cards` and `check_states` read in all."""
    told = (entry["bytes"] for stored in cards for entry in stored.outputs.values())
    return sum(told) + sum(map(file_size, states))
