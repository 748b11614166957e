"""What killed jobs left behind: temporary files, and states of trainings that nobody resumes."""

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tessera.config.jobs import Planned
from tessera.errors import UserError
from tessera.integrity.inventory import DAMAGED, Stored
from tessera.io.files import read_json
from tessera.io.states import OWNER

SAFE_SECONDS = 24 * 3600
"""What nothing wrote to for a day belongs to no running process."""


@dataclass(frozen=True)
class Leftover:
    """Something that no result needs.

    Attributes:
        path: a file or a folder.
        what: what it is.
        bytes: its size.
        age: seconds since something wrote to it.
        useless: nobody can want it back: it goes once it is old enough.
    """

    path: Path
    what: str
    bytes: int
    age: float
    useless: bool

    @property
    def removable(self) -> bool:
        """Whether it may be deleted now."""
        return self.useless and self.age > SAFE_SECONDS


def find_leftovers(
    results: Path, cards: Sequence[Stored], planned: Iterable[Planned], now: float | None = None
) -> list[Leftover]:
    """Finds leftovers below a results folder.

    Args:
        results: the folder.
        cards: the cards in it.
        planned: the jobs of the config: the state of a training of theirs is no leftover.
        now: seconds since the epoch; None asks the clock.
    """
    now = time.time() if now is None else now
    temporary = sorted(file for file in results.rglob(".*.tmp") if file.is_file())
    found = [
        _leftover(file, "the file of a writer that was killed", now, True) for file in temporary
    ]
    wanted = {job.card: job.node for job in planned}
    finished = {str(stored.path): stored.content["node"] for stored in cards if stored.content}
    for folder in sorted(results.glob("resume/*/*")):
        what, useless = _judge(folder, results, wanted, finished)
        if what:
            found.append(_leftover(folder, what, now, useless))
    for folder in sorted(results.glob(f"{DAMAGED}/*/")):
        found.append(_leftover(folder, "what a repair took out of the way", now, False))
    return found


def _judge(
    folder: Path, results: Path, wanted: Mapping[str, Any], finished: Mapping[str, Any]
) -> tuple[str, bool]:
    """What a resume folder is, unless a training goes on from it; and whether it is useless."""
    try:
        owner = read_json(folder / OWNER)
        card, node = str(results / owner["card"]), owner["node"]
    except (UserError, KeyError, TypeError):
        return "the state of a training that is not named", False
    if finished.get(card) == node:
        return f"the state of a training that is finished ({card})", True
    if wanted.get(card) == node:
        return "", False
    # Another config, or this one after a change is taken back, may go on from it.
    return f"the state of a training of other settings than the config's ({card})", False


def _leftover(path: Path, what: str, now: float, useless: bool) -> Leftover:
    inside = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    stats = []
    for file in inside:
        with suppress(FileNotFoundError):  # its writer renames it just now
            stats.append(file.stat())
    modified = max((stat.st_mtime for stat in stats), default=now)
    return Leftover(path, what, sum(stat.st_size for stat in stats), now - modified, useless)
