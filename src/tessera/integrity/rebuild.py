"""What has to be made again, and in which order, so that nothing else is."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tessera.config.canonical import canonical_json
from tessera.config.jobs import COLLECTING, Planned
from tessera.integrity.checks import Problem
from tessera.integrity.inventory import Stored


@dataclass(frozen=True)
class Rebuild:
    """A job whose result is damaged.

    Attributes:
        job: the job.
        damaged: the files to take out of the way, as far as they are there.
        digest: what the job made, by its card; None where that cannot be read any more.
        modified: when the card was written, nanoseconds; None likewise.
        seconds: how long the job took; None likewise.
    """

    job: Planned
    damaged: tuple[Path, ...]
    digest: str | None
    modified: int | None
    seconds: float | None


def plan_rebuilds(
    problems: Iterable[Problem], cards: Sequence[Stored], planned: Sequence[Planned]
) -> tuple[list[Rebuild], list[str]]:
    """Finds the jobs that make damaged results.

    Args:
        problems: what is damaged; saved states, which no job makes, are passed over.
        cards: the cards that are there.
        planned: all jobs of the config.

    Returns:
        The jobs, and a sentence about each result that is not to be made again.
    """
    jobs = {Path(job.card): job for job in planned}
    stored = {entry.path: entry for entry in cards}
    damaged: dict[Path, list[Path]] = {}
    for problem in problems:
        if problem.card is not None:
            damaged.setdefault(problem.card, []).append(problem.file)
    found, left = [], []
    for card, files in damaged.items():
        content = stored[card].content if card in stored else None
        if card not in jobs:
            left.append(
                f"no job of this config makes {card}: give the config files of its run, or delete "
                "it with its files"
            )
        elif content and canonical_json(content["node"]) != canonical_json(jobs[card].node):
            left.append(f"{card} is of other settings than the config's: the next run replaces it")
        else:
            found.append(
                Rebuild(
                    jobs[card],
                    tuple(files),
                    content["digest"] if content else None,
                    card.stat().st_mtime_ns if content else None,
                    content["run"].get("seconds") if content else None,
                )
            )
    return found, left


def join(owed: Iterable[Rebuild], found: Iterable[Rebuild]) -> list[Rebuild]:
    """What an earlier repair owes, and what was found now.

    Of a job in both the earlier record says what its result was and from when: since then the card
    may have been deleted or written anew.
    """
    joined = {rebuild.job.card: rebuild for rebuild in owed}
    for rebuild in found:
        earlier = joined.get(rebuild.job.card, rebuild)
        damaged = tuple(dict.fromkeys((*earlier.damaged, *rebuild.damaged)))
        joined[rebuild.job.card] = replace(earlier, damaged=damaged)
    return list(joined.values())


def levels(rebuilds: Iterable[Rebuild]) -> list[list[Rebuild]]:
    """The jobs in steps, those that others are made of first.

    Between two steps the times of what was made again are put back. Made in one step, a result
    between two damaged ones would be taken for outdated.
    """
    steps: dict[tuple[bool, int], list[Rebuild]] = {}
    for rebuild in rebuilds:
        collecting = rebuild.job.stage in COLLECTING  # their nodes do not name what they show
        steps.setdefault((collecting, depth(rebuild.job.node)), []).append(rebuild)
    return [steps[key] for key in sorted(steps)]


def depth(node: Any) -> int:
    """The number of stages on the longest way from a node down to the images."""
    if not isinstance(node, dict):
        return 0
    below = max(map(depth, node.values()), default=0)
    return below + ("stage" in node)


def put_back_times(rebuild: Rebuild, made: Stored, cards: Sequence[Stored]) -> bool | None:
    """Gives a result that came out as before the times that it had.

    Whatever was made of it then counts as newer, as it did before, and does not run again.

    Args:
        rebuild: what was to be made again.
        made: the card that the job wrote.
        cards: all cards, for those of what was made of the result.

    Returns:
        Whether the result is the former one. Where its card was lost, the cards of what was made
        of it tell; None where nothing was.
    """
    digest = made.content["digest"] if made.content else ""
    users = [stored for stored in cards if digest in stored.inputs.values()]
    if rebuild.digest is None and not users:
        return False if _is_used(rebuild.job, cards) else None
    if rebuild.digest not in (None, digest):
        return False
    files = [file for user in users for file in (user.path, *user.outputs)]
    times = [file.stat().st_mtime_ns for file in files if file.exists()]
    if rebuild.modified is not None:
        times.append(rebuild.modified)
    if times:
        for file in (made.path, *made.outputs):
            os.utime(file, ns=(min(times), min(times)))
    return True


def _is_used(job: Planned, cards: Sequence[Stored]) -> bool:
    """Whether something was made of a job's variant."""
    text = canonical_json(job.node)
    nodes = (canonical_json(stored.content["node"]) for stored in cards if stored.content)
    return any(text in node and text != node for node in nodes)
