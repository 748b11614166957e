"""The table of sweeps: what was measured at each point, seeds told as mean and deviation."""

import json
from collections.abc import Iterator
from typing import Any

import pandas as pd

from tessera.config.points import is_seed
from tessera.report.collection import TRAININGS, Card, Collection
from tessera.report.swept import columns_of, swept, text_of
from tessera.report.table import Column, Table
from tessera.report.tables.generation import Score, scores, two_lines
from tessera.report.tables.reconstructions import ColumnNames, column_names

POINT = ["section", "base", "label", "point"]
"""What tells points apart that differ in more than seeds."""


def sweeps(cards: Collection) -> Table | None:
    """A row a point, points that differ in seeds alone together; a column a swept setting."""
    measured = measurements(cards)
    if measured.empty:
        return None
    grouped = measured.groupby([*POINT, "metric"], sort=False, dropna=False)["value"]
    spread = grouped.agg(["mean", "std", "count"]).reset_index()
    rows = []
    for place, point in spread.groupby(POINT, sort=False):
        settings = json.loads(place[-1])
        row = dict(zip(POINT, place, strict=True)) | settings
        row |= {"point": text_of(settings) or None, "n": int(point["count"].max()) or None}
        for number in point.dropna(subset="mean").itertuples():
            row[number.metric] = float(number.mean)
            row[f"{number.metric} std"] = None if pd.isna(number.std) else float(number.std)
        rows.append(row)
    kept = [name for name in columns_of(cards) if any(name in row for row in rows)]
    columns = [
        Column("section"),
        Column("base"),
        Column("label", "Swept"),
        Column("point", "Point", data=False),
        *(Column(name) for name in kept),
        Column("n", "Seeds"),
    ]
    for metric in measured["metric"].dropna().unique():
        columns.append(Column(metric, two_lines(metric), spread=f"{metric} std"))
        columns.append(Column(f"{metric} std"))
    caption = (
        "What was measured at each point of the sweeps; mean ± standard deviation (n - 1) where "
        "several seeds were swept. Numbers over different extractors or reference images stand in "
        "different columns."
    )
    return Table("sweeps", caption, columns, rows)


def measurements(cards: Collection) -> pd.DataFrame:
    """A row a point and number of interest.

    Where nothing was measured at any point, a row a point without a number.

    Returns:
        Columns section, base, label, point (its settings but for seeds, as JSON), metric, value.
    """
    measured = scores(cards)
    reconstructed = column_names(cards)
    probes = {card.variant for card in cards.of("probe")}
    rows: list[dict[str, Any]] = []
    bare: list[dict[str, Any]] = []
    for card in cards.cards:
        found = swept(cards, card)
        if found is None:
            continue
        settings = {name: value for name, value in found.settings.items() if not is_seed(name)}
        values = (found.section, found.base, found.label, json.dumps(settings))
        place = dict(zip(POINT, values, strict=True))
        bare.append({**place, "metric": None, "value": None})
        for metric, value in _numbers(card, measured, reconstructed, len(probes) > 1):
            rows.append({**place, "metric": metric, "value": value})
    return pd.DataFrame(rows or bare)


def _numbers(
    card: Card, measured: list[Score], reconstructed: ColumnNames, several: bool
) -> Iterator[tuple[str, float]]:
    """The numbers of a card for whose sake one sweeps."""
    if card.stage == "evaluation":
        yield from ((score.name, score.value) for score in measured if score.card is card)
    elif card.stage == "reconstruction":
        for metric, value in card.results["metrics"].items():
            yield reconstructed[card.path, metric], value
    elif card.stage == "probe":
        yield f"top-1 ({card.variant})" if several else "top-1", card.results["top1"]
    elif card.stage in TRAININGS:
        for metric, value in card.results["validation"].items():
            yield f"validation {metric}", value
