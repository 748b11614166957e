"""The cards of a run as one collection: names, labels, and who was made of whom.

Only cards are read, not the files that they tell of: a table can be made where the models and the
sample sets are not.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from tessera.config.canonical import canonical_json
from tessera.config.paper import Paper
from tessera.config.points import Point, Points
from tessera.config.schema import PUBLISHED, STAGE_OF, Config
from tessera.errors import UserError
from tessera.io.cards import open_card

Labels = Mapping[str, Mapping[str, str]]
Node = dict[str, Any]

SECTION_OF = {stage: section for section, stage in STAGE_OF.items()} | {
    "samples": "samplings",
    "usage": "tokens",
}
"""Stage → the section of the config that names its variants."""

TRAININGS = ("encoder", "autoencoder", "extractor", "stage1", "stage2")
"""Stages that train a network, in the order in which the data passes them."""

_PART = re.compile(r"part-(\d{4})-of-(\d{4})\.json")


@dataclass(frozen=True)
class Card:
    """What one job made.

    Attributes:
        path: the card's file, relative to the folder of all results.
        folder: where its files lie.
        stage: the stage that wrote it.
        node: settings down to the images.
        results: numbers and facts.
        run: seconds, memory, device.
        digest: stands for what was made.
    """

    path: str
    folder: Path
    stage: str
    node: Node
    results: dict[str, Any]
    run: dict[str, Any]
    digest: str

    @property
    def section(self) -> str:
        """The section of the config that names the variant."""
        if self.stage == PUBLISHED:
            return PurePosixPath(self.path).parts[0]
        return SECTION_OF[self.stage]

    @property
    def variant(self) -> str:
        """The variant's name, from the folder."""
        return PurePosixPath(self.path).parts[1]

    @property
    def each(self) -> str:
        """For a variant with a job an entry, the entry (an evaluation's sample set)."""
        return PurePosixPath(self.path).stem

    @property
    def name(self) -> str:
        """The job's name below its section: "gpt" or "codes/train/part-0000-of-0004"."""
        path = PurePosixPath(*PurePosixPath(self.path).parts[1:])
        return str(path.parent if path.name == "card.json" else path.with_suffix(""))


class Collection:
    """The cards that tables and figures are made from.

    Args:
        cards: in the order in which they are to be shown.
        labels: section → variant → the name to show; a variant without one shows its own name.
        points: section → variant → the point of a sweep that it is.
        paper: the config's section `paper`.
    """

    def __init__(
        self,
        cards: Sequence[Card],
        labels: Labels | None = None,
        points: Points | None = None,
        paper: Paper | None = None,
    ) -> None:
        self.cards = list(cards)
        self.points = points or {}
        self.paper = paper or Paper()
        self._labels = labels or {}
        self._made: dict[tuple[str, str], Card] = {}
        for card in self.cards:
            self._made.setdefault((card.stage, canonical_json(card.node)), card)

    def of(self, *stages: str) -> list[Card]:
        """The cards of these stages, stage by stage."""
        return [card for stage in stages for card in self.cards if card.stage == stage]

    def made_from(self, node: Node | None) -> Card | None:
        """The card of exactly this node, if it is in the collection."""
        if node is None:
            return None
        return self._made.get((node["stage"], canonical_json(node)))

    def label(self, section: str, variant: str) -> str:
        """The name to show for a variant; two variants with one label are told apart by name."""
        label = self.own_label(section, variant)
        named = self._labels.get(section, {})
        return f"{label} ({variant})" if list(named.values()).count(label) > 1 else label

    def own_label(self, section: str, variant: str) -> str:
        """The name that the config gives a variant; others may have the same."""
        return self._labels.get(section, {}).get(variant) or variant

    def point(self, section: str, variant: str) -> Point | None:
        """The point of a sweep that a variant is; None for one that the config file holds."""
        return self.points.get(section, {}).get(variant)

    def digests(self) -> dict[str, str]:
        """Card → digest of what it tells of."""
        return {card.path: card.digest for card in self.cards}


def collect(
    files: Sequence[Path],
    results: Path,
    labels: Labels | None = None,
    points: Points | None = None,
    paper: Paper | None = None,
) -> Collection:
    """Reads cards.

    Args:
        files: the cards; the first part of a split job stands for all its parts.
        results: the folder of all results, which the cards lie in.
        labels: see `Collection`.
        points: see `Collection`.
        paper: see `Collection`.

    Raises:
        UserError: a card is absent, no card, or outside of `results`.
    """
    paths = dict.fromkeys(path for file in files for path in _parts(file))
    return Collection([_read(path, results) for path in paths], labels, points, paper)


def labels_of(config: Config) -> dict[str, dict[str, str]]:
    """The labels that a config gives to its variants."""
    return {
        section: {
            name: variant.label
            for name, variant in getattr(config, section).items()
            if variant.label
        }
        for section in STAGE_OF
    }


def seeds(node: Node) -> str:
    """All seeds that a node's numbers depend on, such as "sampling=0 shards=0 stage1=3"."""
    found: dict[str, set[int]] = {}
    for name, seed in _seeds("", node):
        found.setdefault(name, set()).add(seed)
    return " ".join(f"{name}={','.join(map(str, sorted(found[name])))}" for name in sorted(found))


def _seeds(field: str, node: Any) -> Iterator[tuple[str, int]]:
    if not isinstance(node, Mapping):
        return
    settings = node.get("settings")
    if not isinstance(settings, Mapping):  # a map of nodes, such as the codebooks of a stability
        for name, entry in node.items():
            yield from _seeds(name, entry)
        return
    name = node.get("stage", field)
    for holder in (settings, settings.get("training") or {}):
        if "seed" in holder:
            yield name, holder["seed"]
        yield from ((name, seed) for seed in holder.get("seeds", ()))
    for entry, below in node.get("inputs", {}).items():
        yield from _seeds(entry, below)


def _parts(file: Path) -> list[Path]:
    """All parts that the first one stands for; any other card alone."""
    match = _PART.fullmatch(file.name)
    if match is None or int(match[1]):
        return [file]
    return [file.with_name(f"part-{i:04d}-of-{match[2]}.json") for i in range(int(match[2]))]


def _read(file: Path, results: Path) -> Card:
    card = open_card(file)
    try:
        path = file.resolve().relative_to(results.resolve()).as_posix()
    except ValueError as error:
        raise UserError(
            f"the card {file} lies outside of {results}: give cards of one folder of results"
        ) from error
    if not isinstance(card, dict) or card.get("stage") not in (*SECTION_OF, PUBLISHED):
        raise UserError(f"{file} is no card of a stage: check the paths that you gave")
    return Card(
        path,
        file.parent,
        card["stage"],
        card["node"],
        card["results"],
        card["run"],
        card["digest"],
    )


def group_by(cards: Sequence[Card], key: Callable[[Card], str]) -> dict[str, list[Card]]:
    """Cards by a key, in the order of first appearance."""
    groups: dict[str, list[Card]] = {}
    for card in cards:
        groups.setdefault(key(card), []).append(card)
    return groups
