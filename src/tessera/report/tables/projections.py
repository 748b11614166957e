"""The table of PCA against LDA on two Gaussian classes."""

from typing import Any

from tessera.metrics.projections import METHODS
from tessera.report.collection import Card, Collection, seeds
from tessera.report.table import Column, Table, percent


def projections(cards: Collection) -> Table | None:
    """A row a noise level, columns for either projection."""
    rows = [row for card in cards.of("projections") for row in _rows(cards, card)]
    several = len({row["variant"] for row in rows}) > 1
    columns = [
        Column("variant"),
        Column("label", "Classes" if several else "", data=False),
        Column("noise_std", "Noise (std)", show=lambda level: f"{level:g}"),
    ]
    for method in METHODS:
        mean, std = f"{method} accuracy_mean", f"{method} accuracy_std"
        expected, name = f"{method} expected_accuracy", method.upper()
        columns.append(Column(mean, f"{name} (%)", spread=std, show=percent))
        columns.append(Column(std))
        columns.append(Column(expected, f"{name}, expected (%)", show=percent))
    columns += [Column(key) for key in ("samples", "dimensions", "unseen_seeds", "seeds", "card")]
    caption = (
        "Two Gaussian classes on one line, by PCA and by LDA: the share of unseen points whose "
        "class is found after Gaussian noise, as mean and standard deviation (n - 1) over the "
        "seeds of points and noise, and what infinitely many points would give."
    )
    return Table("projections", caption, columns, rows) if rows else None


def _rows(cards: Collection, card: Card) -> list[dict[str, Any]]:
    results = card.results
    facts = {
        "variant": card.variant,
        "label": cards.label("projections", card.variant),
        "samples": results["samples"],
        "dimensions": results["dimensions"],
        "unseen_seeds": " ".join(map(str, results["seeds"])),
        "seeds": seeds(card.node),
        "card": card.path,
    }
    rows: dict[float, dict[str, Any]] = {}
    for measured in results["rows"]:
        row = rows.setdefault(measured["noise_std"], facts | {"noise_std": measured["noise_std"]})
        for key in ("accuracy_mean", "accuracy_std", "expected_accuracy"):
            row[f"{measured['projection']} {key}"] = measured[key]
    return list(rows.values())
