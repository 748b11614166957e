"""The tables of linear probes: each model's best layer beside published ones, and all layers."""

from collections.abc import Sequence
from typing import Any

from tessera.config.lineage import draws_semantic
from tessera.report import seeds
from tessera.report.collection import Card, Collection, Node
from tessera.report.collection import seeds as seeds_of
from tessera.report.protocols import expects_imagenet
from tessera.report.published import published
from tessera.report.seeds import Family
from tessera.report.table import PRINTED, Column, Row, Table, parameter_count, percent
from tessera.report.tables.literature import OURS

IMAGENET = "ImageNet"
Probed = tuple[str, Family]
"""A probe, and the family of models that it reads."""


def linear_probe(cards: Collection) -> Table | None:
    """A row a model, or a family of them that differ in seeds alone: the best layer."""
    families = probed_families(cards)
    if not families:
        return None
    one_of_each = {family: found[0].each for (_, family), found in families.items()}
    labels = seeds.distinct_labels(cards, "stage1", one_of_each)
    rows: list[Row] = [
        {
            "type": row.type,
            "method": row.method,
            "ours": False,
            "data": IMAGENET,
            "grid": row.tokens,
            "features": row.features,
            "parameters": row.parameters,
            "top1": None if row.top1 is None else row.top1 / 100,
            "source": row.source,
            PRINTED: {
                "parameters": row.printed.get("params"),
                "top1": row.printed.get("top1"),
            },
        }
        for row in published("linear_probe")
    ]
    several = len({probe for probe, _ in families}) > 1
    for (probe, family), found in families.items():
        label = labels[family]
        if several:
            label += f", {cards.label('probes', probe)}"
        rows.append(_own_row(cards, found, label))
    columns = [
        Column("type", "Type"),
        Column("method", "Method"),
        Column("ours"),
        Column("data", "Data"),
        Column("grid", "Tokens"),
        Column("features", "Features"),
        Column("parameters", "Parameters", show=parameter_count),
        Column("best_layer", "Layer"),
        Column("top1", "Top-1 (%)", best="high", spread="top1 std", show=percent),
        Column("top1 std"),
        Column("seeds_averaged", "Seeds"),
        Column("top5"),
        Column("top5 std"),
        Column("layers"),
        Column("variant"),
        Column("probe"),
        Column("tokens"),
        Column("conditional"),
        Column("seeds"),
        Column("source"),
        Column("card"),
    ]
    caption = (
        "Linear classifiers on mean-pooled hidden states of models that generate. Tokens is the "
        "grid that a model reads, features the width that the classifier reads. Ours are the best "
        "layer of each model on the validation split (0 is the embedding), ± the standard "
        "deviation (n - 1) over seeds. Published rows are as tabulated in arXiv 2410.12490. Best "
        "of each data set in bold, unless another one is within the deviation."
    )
    return Table("linear_probe", caption, columns, rows, peers="data")


def probed_families(cards: Collection) -> dict[Probed, list[Card]]:
    """The cards of the probes; those of models that differ in seeds alone together."""
    found: dict[Probed, list[Card]] = {}
    for card in cards.of("probe"):
        family = seeds.family(cards, "stage1", card.each)
        found.setdefault((card.variant, family), []).append(card)
    return found


def top1(card: Card) -> float:
    """The accuracy of a probe's best layer, a share."""
    return float(_best(card)["top1"])


def linear_probe_layers(cards: Collection) -> Table | None:
    """A row a model and layer."""
    rows = [
        {
            "variant": card.each,
            "probe": card.variant,
            "tokens": _kind_of_tokens(card),
            "conditional": _model(card)["settings"]["class_conditional"],
            "card": card.path,
        }
        | {key: layer[key] for key in ("layer", "top1", "top5")}
        for card in cards.of("probe")
        for layer in card.results["layers"]
    ]
    names = ("variant", "probe", "tokens", "conditional", "layer", "top1", "top5", "card")
    columns = [Column(name, name) for name in names]
    return Table("linear_probe_layers", "Every layer.", columns, rows) if rows else None


def _own_row(cards: Collection, found: Sequence[Card], label: str) -> Row:
    first = found[0]
    made = cards.made_from(_model(first))
    tokens = _tokens(cards, first)
    layers = sorted({card.results["best_layer"] for card in found})
    row: dict[str, Any] = {
        "type": "AR",
        "method": f"{label} (ours)",
        "ours": True,
        "data": data_of(cards, first),
        "grid": "x".join(map(str, tokens.results["grid"])) if tokens else None,
        "features": _model(first)["settings"].get("model", {}).get("width"),
        "parameters": made.results["parameters"] if made else None,
        "best_layer": layers[0] if len(layers) == 1 else ", ".join(map(str, layers)),
        "layers": len(first.results["layers"]),
        "variant": " ".join(card.each for card in found),
        "probe": first.variant,
        "tokens": _kind_of_tokens(first),
        "conditional": _model(first)["settings"]["class_conditional"],
        "seeds": " | ".join(seeds_of(card.node) for card in found),
        "source": OURS,
        "card": " ".join(card.path for card in found),
    }
    if len(found) > 1:
        row["seeds_averaged"] = len(found)
    row |= seeds.cells("top1", [top1(card) for card in found])
    return row | seeds.cells("top5", [_best(card)["top5"] for card in found])


def _best(card: Card) -> dict[str, Any]:
    best = card.results["best_layer"]
    found: dict[str, Any] = next(it for it in card.results["layers"] if it["layer"] == best)
    return found


def _model(card: Card) -> Node:
    node: Node = card.node["inputs"]["stage1"]
    return node


def _kind_of_tokens(card: Card) -> str:
    return "semantic" if draws_semantic(_model(card)) else "VQ codes"


def _tokens_node(card: Card) -> Node:
    """The token set that a probe reads: its own, or that of the model's training."""
    node: Node = card.node["inputs"].get("tokens") or _model(card)["inputs"]["tokens"]
    return node


def _tokens(cards: Collection, card: Card) -> Card | None:
    return cards.made_from(_tokens_node(card))


def data_of(cards: Collection, card: Card) -> str | None:
    """The data set that a probe classifies."""
    data = _tokens_node(card)["inputs"]["views"]["inputs"]["data"]
    if expects_imagenet(data):
        return IMAGENET
    made = cards.made_from(data)
    return cards.label("data", made.variant) if made else None
