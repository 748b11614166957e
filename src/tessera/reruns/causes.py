"""Why jobs would run: what changed, what is missing, and what follows from that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tessera.config.jobs import COLLECTING, Planned
from tessera.config.schema import Config
from tessera.reruns.changes import Changes
from tessera.reruns.graph import Due
from tessera.reruns.outdated import Cards, outdated, shown


@dataclass(frozen=True)
class Reason:
    """Why one job would run.

    Attributes:
        due: the job.
        causes: what makes it run by itself, in words; none for a job that only follows others.
    """

    due: Due
    causes: tuple[str, ...]


def reasons(
    config: Config, planned: Sequence[Planned], cards: Cards, due: Sequence[Due]
) -> list[Reason]:
    """Why each of these jobs would run.

    Args:
        config: the validated config.
        planned: all jobs of the config.
        cards: the cards that are there.
        due: the jobs that would run, each after those that it reads from.
    """
    stale = {job.card for job in outdated(planned, cards)}
    # A variant of several jobs is settled when all of them are.
    loose = {(job.section, job.name) for job in planned if job.card in stale}
    settled = {(job.section, job.name) for job in planned if job.card in cards} - loose
    changes = Changes(config, settled)
    inherited: dict[str, set[str]] = {}
    found = []
    for one in due:
        above = set().union(*(inherited[card] for card in one.after))
        card = cards.get(one.job.card)
        changed = [] if card is None else _changed(changes, planned, cards, one.job, card)
        own = [text for text in changed if text not in above]
        causes = (*own, *_files(one))
        if not causes and not one.after:
            causes = ("the results that it shows were made anew",)
        found.append(Reason(one, causes))
        inherited[one.job.card] = above | set(changed)
    return found


def _changed(
    changes: Changes,
    planned: Sequence[Planned],
    cards: Cards,
    job: Planned,
    card: Mapping[str, Any],
) -> list[str]:
    """What changed since a card was written."""
    node = card.get("node")
    if not isinstance(node, Mapping):
        return [f"{job.card} is no card"]
    if job.stage not in COLLECTING:
        return changes.of(job, node)
    found = []
    if node.get("version") != job.node["version"]:
        found.append(
            f"the code of the stage {job.stage}: "
            f"version {node.get('version')} → {job.node['version']}"
        )
    gone = set(card.get("inputs", {})) - shown(planned, cards, job.stage).keys()
    return [*found, *(f"{job.stage}: they show {name}, which is gone" for name in sorted(gone))]


def _files(due: Due) -> list[str]:
    """What of a job's own files, and of those that it reads, makes it run."""
    if due.unmade:
        return ["not made yet"]
    found = [f"{file} is missing" for file in due.missing[:1]]
    if len(due.missing) > 1:
        found = [f"{len(due.missing)} files are missing, such as {due.missing[0]}"]
    return [*found, *(f"{file} is newer than what was made of it" for file in due.newer)]
