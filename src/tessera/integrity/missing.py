"""Results that are gone altogether, although others were made of them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tessera.config.canonical import canonical_json
from tessera.config.jobs import PARTED, Planned
from tessera.integrity.checks import Problem
from tessera.integrity.inventory import Stored


def find_missing(cards: Sequence[Stored], planned: Sequence[Planned]) -> list[Problem]:
    """The jobs of the config whose card is gone, while a card tells that it was read.

    Snakemake alone would make such a result again, and then all that stands below it.

    Args:
        cards: the cards that are there.
        planned: all jobs of the config.
    """
    there = {(_node(stored), _part(stored.path)) for stored in cards if stored.content}
    users: dict[str, list[Stored]] = {}  # node → cards of what was made of it
    for stored in cards:
        if stored.content:
            for node in {canonical_json(node) for node in _nodes(stored.content["node"]["inputs"])}:
                users.setdefault(node, []).append(stored)
    found = []
    for job in planned:
        path = Path(job.card)
        # A card of the same node elsewhere is that of a variant that got another name.
        if path.exists() or (canonical_json(job.node), _part(path)) in there:
            continue
        if user := _user(job, users):
            found.append(Problem(path, f"is missing, although {user.path} was made of it", path))
    return found


def _user(job: Planned, users: dict[str, list[Stored]]) -> Stored | None:
    """A card of something that was made of a job's result."""
    node = job.node
    if job.stage == "samples":  # no variant names the export of a sample set, only the sampling
        (node,) = job.node["inputs"].values()
    for user in users.get(canonical_json(node), []):
        if job.stage in PARTED:
            # Parts share a node: what read this one names it among its inputs.
            flags = [flag for flag, _, name in _keys(user) if name == Path(job.card).name]
            if any(_reads(flag, job.split) for flag in flags):
                return user
        elif user.content and user.content["stage"] != "samples":
            return user
    return None


def _keys(stored: Stored) -> Iterator[tuple[str, str, str]]:
    """The names of a card's inputs: those of parts are "<flag>/<card's name>"."""
    return (name.partition("/") for name in stored.inputs)


def _reads(flag: str, split: str | None) -> bool:
    """Whether a flag such as `validation_codes` is given the cards of this split."""
    return split is None or flag.startswith("validation") == (split == "validation")


def _part(path: Path) -> str:
    """What tells the cards of one node apart: the part, and the split's folder."""
    return "" if path.name == "card.json" else f"{path.parent.name}/{path.name}"


def _node(stored: Stored) -> str:
    return canonical_json(stored.content["node"]) if stored.content else ""


def _nodes(value: Any) -> Iterator[Any]:
    """All nodes of stages below a value of a node."""
    if isinstance(value, dict):
        if "stage" in value and "inputs" in value:
            yield value
        for inner in value.values():
            yield from _nodes(inner)
