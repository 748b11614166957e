"""The figure of stability: tokens that change under noise."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from tessera.report.collection import Card, Collection
from tessera.report.style import PAGE, look, new_figure, series_name


def stability(cards: Collection) -> Figure | None:
    """Changed tokens and cosine similarity over the strength of the noise, a row a card."""
    found = cards.of("stability")
    if not found:
        return None
    figure = new_figure(PAGE, 2.5 * len(found))
    panels = figure.subplots(len(found), 2, squeeze=False)
    for card, (changed, cosine) in zip(found, panels, strict=True):
        for axes, key, title in (
            (changed, "changed", "share of tokens that change"),
            (cosine, "cosine", "cosine similarity"),
        ):
            for index, (name, rows) in enumerate(_by_tokenizer(cards, card).items()):
                _band(axes, rows, key, name, index)
            axes.set_xlabel("signal-to-noise ratio (dB)")
            axes.set_ylabel(title)
            axes.invert_xaxis()  # more noise to the right
        changed.set_ylim(-0.03, 1.03)
        bottom = cosine.get_ylim()[0]
        # Room for markers at 1, but no tick beyond it: a cosine ends there.
        cosine.set_yticks([tick for tick in cosine.get_yticks() if tick <= 1])
        cosine.set_ylim(bottom, 1 + 0.04 * (1 - bottom))
        changed.legend(loc="upper left")
        if len(found) > 1:
            changed.set_title(cards.label("stabilities", card.variant), loc="left")
    return figure


def _by_tokenizer(cards: Collection, card: Card) -> dict[str, list[dict[str, Any]]]:
    series: dict[str, list[dict[str, Any]]] = {}
    for row in card.results["rows"]:
        label = cards.label(f"{row['kind']}s", row["tokenizer"])
        series.setdefault(f"{label} ({row['kind']})", []).append(row)
    return series


def _band(axes: Any, rows: Sequence[Mapping[str, Any]], key: str, name: str, index: int) -> None:
    """Mean with a band of one standard deviation; no measure leaves its own range."""
    rows = sorted(rows, key=lambda row: row["snr_db"])
    levels = [row["snr_db"] for row in rows]
    mean = [row[f"{key}_mean"] for row in rows]
    least = 0.0 if key == "changed" else -1.0
    low = [max(least, row[f"{key}_mean"] - row[f"{key}_std"]) for row in rows]
    high = [min(1.0, row[f"{key}_mean"] + row[f"{key}_std"]) for row in rows]
    drawn = look(index)
    axes.fill_between(levels, low, high, color=drawn.colour, alpha=0.18, linewidth=0)
    axes.plot(
        levels,
        mean,
        color=drawn.colour,
        marker=drawn.marker,
        linestyle=drawn.line,
        label=series_name(name),
    )
