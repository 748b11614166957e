"""Which numbers of sample sets may stand in one column, and what the column is called.

A number is comparable with those of its own protocol: the extractor, the reference images and the
count of samples. A column of the papers' numbers takes ours only where all of these are theirs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tessera.config.canonical import canonical_json
from tessera.report.collection import Card, Collection, Node
from tessera.report.published import Reference
from tessera.report.tables.generation import (
    LOWER_IS_BETTER,
    metric_name,
    metrics_of,
    over_statistics,
    protocol,
)

IMAGES = 50_000
"""Samples that papers compute FID and IS over, and validation images of ImageNet."""

SIDE = 256
"""Side of the images of the published rows, pixels."""

FID_AGAINST: Mapping[Reference | None, str] = {
    "imagenet-validation": "FID (validation)",
    "adm-statistics": "FID (ADM statistics)",
    None: "FID (as reported)",
}
"""Reference of a published FID → its column."""

SHORT = {
    "FID (validation)": "FID (val.)",
    "FID (ADM statistics)": "FID (ADM)",
    "FID (as reported)": "FID (other)",
    "classifier score": "Score",
    "Precision": "Prec.",
    "Recall": "Rec.",
}
"""Words of columns → what fits into a heading on paper."""


@dataclass(frozen=True)
class Measure:
    """A metric under one protocol: a column.

    Attributes:
        name: unique among all columns, such as "FID (validation)" or "FD (cnn)".
        metric: its key on the cards, such as "fid".
        theirs: whether published numbers are of this protocol.
        protocol: what metrics of one protocol share.
    """

    name: str
    metric: str
    theirs: bool
    protocol: str = field(default="", compare=False)

    @property
    def title(self) -> str:
        """The name as a heading."""
        text = self.name
        for word, short in SHORT.items():
            text = text.replace(word, short)
        return text

    @property
    def lower_is_better(self) -> bool:
        """Whether small numbers are good ones."""
        return self.metric in LOWER_IS_BETTER


def reference_of(cards: Collection, card: Card) -> Reference | None:
    """The reference of published FIDs that an evaluation shares.

    Args:
        cards: all cards.
        card: the evaluation's.

    Returns:
        None where its numbers are not comparable with published ones: another extractor, other
        images, another size, or other than 50,000 samples; or where the cards do not say that the
        samples are of ImageNet, as with statistics and published weights.
    """
    results = card.results
    if results["extractor"]["kind"] != "inception" or results["count"] != IMAGES:
        return None
    sampling = card.node["inputs"]["samplings"]
    if over_statistics(card):
        of_imagenet = any(expects_imagenet(node) for node in _data_nodes(sampling))
        return "adm-statistics" if of_imagenet and _side(cards, sampling) == SIDE else None
    views, reference = card.node["inputs"]["views"], results["reference"]
    same = views["settings"]["crop"] == SIDE and expects_imagenet(views["inputs"]["data"])
    same = same and (reference["split"], reference["count"]) == ("validation", IMAGES)
    return "imagenet-validation" if same else None


def expects_imagenet(data: Node) -> bool:
    """Whether a data set's node was checked to be ImageNet."""
    return data["settings"].get("expect") == "imagenet"


def _data_nodes(node: Any) -> list[Node]:
    """The data sets that a node goes back to."""
    if not isinstance(node, Mapping):
        return []
    found = [node["data"]] if isinstance(node.get("data"), Mapping) else []
    return found + [data for below in node.values() for data in _data_nodes(below)]


def _side(cards: Collection, sampling: Node) -> int | None:
    """Side of a sampling's images, pixels, by the card of its sample set."""
    wanted = canonical_json(sampling)
    for card in cards.of("samples"):
        if canonical_json(card.node["inputs"]["samplings"]) == wanted:
            side: int = card.results["image_size"]
            return side
    return None


def measures(cards: Collection, evaluations: Sequence[Card]) -> dict[tuple[str, str], Measure]:
    """The columns of evaluations that stand in one table.

    Args:
        cards: all cards.
        evaluations: the cards of those in the table.

    Returns:
        Path of a card and metric → its column.
    """
    own: dict[str, dict[str, list[Card]]] = {}  # name → protocol → cards
    found: dict[tuple[str, str], Measure] = {}
    for card in evaluations:
        reference = reference_of(cards, card)
        for metric in metrics_of(card):
            name = metric_name(card, metric)
            if reference is not None:
                # IS, KID and the others are of validation images alone, or of no images at all.
                name = FID_AGAINST[reference] if metric == "fid" else name
                found[card.path, metric] = Measure(name, metric, True, reference)
                continue
            if card.results["extractor"]["kind"] == "inception":
                # Bare names are those of the comparable ones.
                name += f", {cards.label('evaluations', card.variant)}"
            own.setdefault(name, {}).setdefault(_protocol(card), []).append(card)
            found[card.path, metric] = Measure(name, metric, False, _protocol(card))
    for name, protocols in own.items():
        if len(protocols) == 1:
            continue
        for alike in protocols.values():
            for card in alike:
                for metric in metrics_of(card):
                    if found[card.path, metric].name == name:
                        told = f"{name}, {_told_apart(cards, alike)}"
                        found[card.path, metric] = Measure(told, metric, False, _protocol(card))
    return found


def _protocol(card: Card) -> str:
    return f"{protocol(card)} {card.results['count']}"


def _told_apart(cards: Collection, alike: Sequence[Card]) -> str:
    """Evaluations and count: one protocol differs from another in at least one of them."""
    labels = dict.fromkeys(cards.label("evaluations", card.variant) for card in alike)
    return f"{' / '.join(labels)}, n = {alike[0].results['count']:,}"
