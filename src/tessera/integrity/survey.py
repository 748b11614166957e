"""A look at everything in a results folder: what is damaged, what is gone, what was left over."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from tessera.config.jobs import Planned, jobs
from tessera.config.schema import Config
from tessera.integrity.checks import Problem, check_cards, check_states, total_bytes
from tessera.integrity.inventory import Stored, find_cards, find_states
from tessera.integrity.leftovers import Leftover, find_leftovers
from tessera.integrity.missing import find_missing


@dataclass(frozen=True)
class Survey:
    """What was found.

    Attributes:
        planned: all jobs of the config.
        cards: all cards of the folder, those of other configs too.
        states: the saved states of unfinished trainings.
        problems: what is damaged or gone.
        leftovers: what nothing needs.
        bytes: what was read.
    """

    planned: list[Planned]
    cards: list[Stored]
    states: list[Path]
    problems: list[Problem]
    leftovers: list[Leftover]
    bytes: int

    @property
    def files(self) -> int:
        """Files that were checked, the cards among them."""
        return len(self.cards) + len(self.states) + sum(len(card.outputs) for card in self.cards)


def survey(config: Config, stream: TextIO | None = None) -> Survey:
    """Reads every file that the cards of a config's results folder tell of.

    Args:
        config: the validated config.
        stream: where the progress of long reads is shown; None shows none.

    Raises:
        UserError: source files that the config names are not there.
    """
    results, planned = Path(config.results), jobs(config)
    cards, states = find_cards(results), find_states(results)
    total = total_bytes(cards, states)
    seen = Progress(total, stream)
    problems = check_cards(cards, seen) + check_states(states, seen) + find_missing(cards, planned)
    leftovers = find_leftovers(results, cards, planned)
    return Survey(planned, cards, states, problems, leftovers, total)


class Progress:
    """Says from time to time how many of the bytes were read.

    Args:
        total: bytes in all.
        stream: where; None says nothing.
        clock: seconds.
    """

    SECONDS = 10.0
    """Between two lines: results that are read in less show none."""

    def __init__(
        self, total: int, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._total, self._stream, self._clock = total, stream, clock
        self._done, self._last, self._lock = 0, clock(), threading.Lock()

    def __call__(self, size: int) -> None:
        """Counts a file of `size` bytes."""
        with self._lock:
            self._done += size
            if self._stream and self._clock() - self._last >= self.SECONDS:
                self._last = self._clock()
                print(
                    f"{size_text(self._done)} of {size_text(self._total)} read", file=self._stream
                )


def size_text(size: float) -> str:
    """A number of bytes as "12.3 MB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def age_text(seconds: float) -> str:
    """An age as "3 h" or "5 days"."""
    hours = seconds / 3600
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} days"
