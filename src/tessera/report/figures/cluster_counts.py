"""Linear probes of models that differ in the number of clusters of their codebook, and in seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tessera.config.canonical import canonical_json
from tessera.report import seeds
from tessera.report.collection import Card, Collection
from tessera.report.seeds import Spread

Line = Sequence[tuple[int, Spread]]
"""Layer and top-1 accuracy, a share."""


@dataclass(frozen=True)
class Alike:
    """Models alike but for the number of clusters, read by one probe.

    Attributes:
        label: the name of the first of them, and of the probe.
        lines: number of clusters → accuracy by layer, over seeds where there are several.
    """

    label: str
    lines: Mapping[int, Line]


def counts(cards: Collection) -> set[int]:
    """The numbers of clusters of all models that a probe read."""
    found = (clusters_of(card) for card in cards.of("probe"))
    return {count for count in found if count is not None}


def clusters_of(card: Card) -> int | None:
    """Clusters of the codebook whose tokens a probed model draws.

    Returns:
        None for a model over codes of an autoencoder, and for published weights, of whose training
        nothing is known.
    """
    codebook = _inputs_of_tokens(card.node).get("codebook")
    count: int | None = codebook["settings"].get("clusters") if codebook else None
    return count


def alike(cards: Collection) -> list[Alike]:
    """The models that differ in the number of clusters, two numbers or more, group by group."""
    groups: dict[str, list[Card]] = {}
    for card in cards.of("probe"):
        if clusters_of(card) is not None:
            # Two probes with the same settings are one: the models decide.
            groups.setdefault(canonical_json(_without_count(card.node)), []).append(card)
    return [
        Alike(_label(cards, found[0]), _lines(found))
        for found in groups.values()
        if len({clusters_of(card) for card in found}) > 1
    ]


def _label(cards: Collection, card: Card) -> str:
    return f"{cards.own_label('stage1', card.each)}, {cards.own_label('probes', card.variant)}"


def _lines(found: Sequence[Card]) -> dict[int, Line]:
    by_count: dict[int, dict[int, dict[str, float]]] = {}
    for card in found:
        count = clusters_of(card)
        assert count is not None
        layers = by_count.setdefault(count, {})
        for layer in card.results["layers"]:
            # One model that two equal probes read counts once.
            layers.setdefault(layer["layer"], {}).setdefault(_model(card), layer["top1"])
    return {
        count: [(layer, seeds.spread(values.values())) for layer, values in sorted(layers.items())]
        for count, layers in sorted(by_count.items())
    }


def _model(card: Card) -> str:
    return canonical_json(card.node)


def _inputs_of_tokens(node: Mapping[str, Any]) -> Mapping[str, Any]:
    tokens = node["inputs"]["stage1"]["inputs"].get("tokens")
    inputs: Mapping[str, Any] = tokens["inputs"] if tokens else {}
    return inputs


def _without_count(node: Any) -> Any:
    """A node without its number of clusters and without the seeds of model, codebook and probe."""
    if not isinstance(node, Mapping):
        return node
    left = {key: _without_count(value) for key, value in node.items()}
    if left.get("stage") in ("probe", "stage1", "codebook"):
        settings = {k: v for k, v in left["settings"].items() if k not in ("seed", "clusters")}
        if isinstance(settings.get("training"), Mapping):
            settings["training"] = {k: v for k, v in settings["training"].items() if k != "seed"}
        left["settings"] = settings
    return left
