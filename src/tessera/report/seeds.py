"""Results that differ in seeds alone, told as one: mean, standard deviation, and how many."""

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tessera.config.canonical import canonical_json
from tessera.config.points import is_seed
from tessera.report.collection import Card, Collection

FILTERS = ("semantic", "codes", "masked")
"""Settings of a sampling that say how it draws: first words of swept settings."""


@dataclass(frozen=True)
class Family:
    """What variants share that differ in seeds alone.

    Attributes:
        base: the variant of the config file that they are points of, or the only variant.
        settings: the other swept settings, as canonical JSON.
    """

    base: str
    settings: str = "{}"


@dataclass(frozen=True)
class Spread:
    """Numbers of one family.

    Attributes:
        mean: their mean.
        std: their standard deviation as that of a sample (n - 1); None for a single number.
        count: how many there are.
    """

    mean: float
    std: float | None
    count: int


def family(cards: Collection, section: str, variant: str) -> Family:
    """The family of a variant; one that no sweep made is a family of its own."""
    point = cards.point(section, variant)
    if point is None:
        return Family(variant)
    others = {name: value for name, value in point.settings.items() if not is_seed(name)}
    return Family(point.base, canonical_json(others))


def without_seeds(node: Any) -> Any:
    """A node with all of its seeds taken out: what results share that differ in seeds alone."""
    if isinstance(node, Mapping):
        return {key: without_seeds(value) for key, value in node.items() if key != "seed"}
    return [without_seeds(one) for one in node] if isinstance(node, list) else node


def replicas(evaluation: Card) -> str:
    """A key that evaluations of sample sets share which differ in seeds alone, as text."""
    return canonical_json(without_seeds(evaluation.node))


def is_swept_over_filters(cards: Collection, sampling: str) -> bool:
    """Whether a sample set is a point of a sweep over how codes are drawn."""
    point = cards.point("samplings", sampling)
    return point is not None and any(name.split(".")[0] in FILTERS for name in point.settings)


def label(cards: Collection, section: str, variant: str) -> str:
    """The name to show for a variant's family: its label without seeds.

    Other families may be shown under the same one: see `distinct_labels`.
    """
    text = cards.own_label(section, variant)
    point = cards.point(section, variant)
    for name, value in (point.settings if point else {}).items():
        if is_seed(name):
            text = re.sub(rf", (\w+ )*seed {re.escape(f'{value:,}')}(?=, |$)", "", text)
    return text


def distinct_labels(
    cards: Collection, section: str, variants: Mapping[Family, str]
) -> dict[Family, str]:
    """The names to show for families beside each other.

    Args:
        cards: all cards.
        section: the section of the variants.
        variants: each family with one variant of it.

    Returns:
        Family → its label; those of one label are told apart by the name of their base.
    """
    labels = {it: label(cards, section, variant) for it, variant in variants.items()}
    shown = list(labels.values())
    return {
        it: f"{text} ({it.base})" if shown.count(text) > 1 else text for it, text in labels.items()
    }


def spread(values: Iterable[float]) -> Spread:
    """Mean and standard deviation of at least one number."""
    found: Sequence[float] = list(values)
    std = statistics.stdev(found) if len(found) > 1 else None
    return Spread(statistics.fmean(found), std, len(found))


def cells(key: str, values: Sequence[Any]) -> dict[str, Any]:
    """Cells of a row for a family's numbers: the mean under `key`, the deviation beside it.

    A single number stays as it is, an integer included.
    """
    if len(values) == 1:
        return {key: values[0]}
    found = spread(values)
    return {key: found.mean, f"{key} std": found.std}
