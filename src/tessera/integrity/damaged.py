"""The folder `damaged` of the results: what a repair took out of the way, and what it still owes.

Nothing is deleted: a file that is cut off or has a wrong bit may be all that is left of weeks of
work. Its owner deletes the folder.
"""

import shutil
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from tessera.config.jobs import Planned
from tessera.integrity.inventory import DAMAGED, Stored
from tessera.integrity.rebuild import Rebuild
from tessera.io.files import read_json, write_json

_OWED = "owed.json"


def set_aside(files: Iterable[Path], results: Path) -> list[tuple[Path, Path]]:
    """Moves files that are there to where nothing takes them for results.

    Returns:
        Where each was and where it is now.
    """
    folder = results / DAMAGED / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S.%f")
    moved = []
    for file in files:
        if file.exists():
            place = folder / file.relative_to(results)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(file, place)  # perhaps to another disk: a folder of results may be a link
            moved.append((file, place))
    return moved


def files_of(card: Path, stored: Stored | None) -> list[Path]:
    """What a job made, as far as it is there; Snakemake deletes all of it before the job runs.

    Args:
        card: the job's card.
        stored: what the card says; None, or without content, where it cannot be read.
    """
    if stored is not None and stored.content is not None:
        return [file for file in (card, *stored.outputs) if file.exists()]
    beside = [card, card.with_suffix(".zarr.zip")]
    if card.name == "card.json":  # its folder, but for the parts, which have cards of their own
        beside += [
            file
            for file in sorted(card.parent.glob("[!.]*"))
            if file.is_file() and not file.name.startswith("part-")
        ]
    return [file for file in dict.fromkeys(beside) if file.exists()]


def remember(rebuilds: Sequence[Rebuild], results: Path) -> None:
    """Writes down what is still to be made again, for the case that the repair is cut off.

    Once its files are out of the way, nothing else tells what a result was and from when.
    """
    file = results / DAMAGED / _OWED
    if not rebuilds:
        file.unlink(missing_ok=True)
        return
    owed = {
        Path(rebuild.job.card).relative_to(results).as_posix(): {
            "damaged": [path.relative_to(results).as_posix() for path in rebuild.damaged],
            "digest": rebuild.digest,
            "modified": rebuild.modified,
            "seconds": rebuild.seconds,
        }
        for rebuild in rebuilds
    }
    write_json(file, owed)


def recall(results: Path, planned: Iterable[Planned]) -> list[Rebuild]:
    """What an earlier repair did not come to, as far as it is of this config."""
    file = results / DAMAGED / _OWED
    owed = read_json(file) if file.exists() else {}
    jobs = {Path(job.card): job for job in planned}
    return [
        Rebuild(
            jobs[results / card],
            tuple(results / path for path in entry["damaged"]),
            entry["digest"],
            entry["modified"],
            entry["seconds"],
        )
        for card, entry in owed.items()
        if results / card in jobs
    ]
