"""Every number of every card, one a row: for whoever makes tables and figures of their own."""

from collections.abc import Iterator, Mapping
from typing import Any

from tessera.report.collection import Card, Collection
from tessera.report.swept import columns_of, swept
from tessera.report.table import Column, Table
from tessera.report.tables.generation import Score, scores
from tessera.report.tables.reconstructions import column_names

UNITS = {
    "seconds": "s",
    "psnr_db": "dB",
    "code_entropy_bits": "bit",
    "class_target_entropy": "nat",
    "patch_target_entropy": "nat",
    "sampling_seconds": "s",
    "peak_memory_mb": "MB",
    "entropy_bits": "bit",
    "class_entropy_bits": "bit",
    "class_information_bits": "bit",
    "images": "images",
    "images_seen": "images",
    "count": "images",
    "steps": "updates",
    "points": "points",
    "image_size": "pixels",
    "bits_per_code": "bit",
    "(dB)": "dB",
}
"""Last word of a metric → its unit; all else is a bare number, "1"."""

LOSSES = {"stage1": "nat/token", "stage2": "nat/token", "encoder": "nat", "extractor": "nat"}
"""Stage → the unit of its losses: cross-entropies. Others are weighted sums of unlike terms."""

ARBITRARY = "a.u."

Number = tuple[str, float]


def results(cards: Collection) -> Table | None:
    """Columns stage, variant, metric, value, unit, card; base, and a column a swept setting."""
    measured = scores(cards)
    reconstructed = column_names(cards)
    rows = [
        {
            "stage": card.stage,
            "variant": card.name,
            "metric": metric,
            "value": value,
            "unit": _unit(card, metric),
            "card": card.path,
        }
        | ({"base": point.base, **point.settings} if (point := swept(cards, card)) else {})
        for card in cards.cards
        for metric, value in numbers(card, measured, reconstructed)
    ]
    names = ("stage", "variant", "metric", "value", "unit", "card")
    further = ("base", *columns_of(cards))
    columns = [Column(name, name) for name in (*names, *further)]
    return Table("results", "All numbers.", columns, rows) if rows else None


def numbers(
    card: Card, measured: list[Score], reconstructed: Mapping[tuple[str, str], str]
) -> Iterator[Number]:
    """A card's numbers under unique names.

    Fidelity carries the names of its extractor; layers and noise levels are part of the name.

    Args:
        card: the card.
        measured: the scores of all evaluations.
        reconstructed: see `tessera.report.tables.reconstructions.column_names`.
    """
    found = dict(card.results)
    if card.stage == "evaluation":
        found.pop("metrics")
        for score in measured:
            if score.card is card:
                yield score.name, score.value
                if score.spread is not None:
                    yield f"{score.name} std", score.spread
    elif card.stage == "reconstruction":
        for metric, value in found.pop("metrics").items():
            yield reconstructed[card.path, metric], value
    elif card.stage == "probe":
        for layer in found.pop("layers"):
            yield from _flat({k: v for k, v in layer.items() if k != "layer"},
                             f"layer {layer['layer']} ")  # fmt: skip
    elif card.stage == "stability":
        for row in found.pop("rows"):
            where = f"{row['kind']} {row['tokenizer']} at {row['snr_db']:g} dB "
            for key in ("changed_mean", "changed_std", "cosine_mean", "cosine_std"):
                yield where + key, row[key]
    elif card.stage == "projections":
        del found["directions"]
        for row in found.pop("rows"):
            where = f"{row['projection']} under noise of {row['noise_std']:g} "
            for key in ("accuracy_mean", "accuracy_std", "expected_accuracy"):
                yield where + key, row[key]
    elif card.stage == "codebook" and found.get("objective"):
        yield "objective", found["objective"][-1]
    yield from _flat(found)
    for key in ("seconds", "peak_memory_mb", "sampling_seconds"):
        if key in card.run:
            yield key, card.run[key]


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[Number]:
    """The numbers of a nested map; lists are series, not numbers."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key} ")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield before + key, value


def _unit(card: Card, metric: str) -> str:
    last = metric.rsplit(" ", 1)[-1]
    if last.endswith("loss"):
        return LOSSES.get(card.stage, ARBITRARY)
    return UNITS.get(last, "1")
