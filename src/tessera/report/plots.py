"""Figures of results: stability, linear probes, distances of sample sets."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tessera.report.collection import Card, Collection, group_by
from tessera.report.generation import (
    STAGE2,
    Score,
    over_statistics,
    protocol,
    reference_text,
    scores,
    stage2_kind,
)
from tessera.report.style import COLUMN, PAGE, look, new_figure, say, series_name


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
        cosine.set_ylim(top=1.03)
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


def linear_probe(cards: Collection) -> Figure | None:
    """Top-1 accuracy by layer, a line a model, a panel a probe."""
    probes = group_by(cards.of("probe"), lambda card: card.variant)
    if not probes:
        return None
    figure = new_figure(COLUMN * (1 if len(probes) == 1 else 2), 2.6 * -(-len(probes) // 2))
    panels = list(figure.subplots(-(-len(probes) // 2), min(len(probes), 2), squeeze=False).flat)
    for axes, (probe, found) in zip(panels, probes.items(), strict=False):
        for index, card in enumerate(found):
            layers = card.results["layers"]
            drawn = look(index)
            axes.plot(
                [layer["layer"] for layer in layers],
                [100 * layer["top1"] for layer in layers],
                color=drawn.colour,
                marker=drawn.marker,
                linestyle=drawn.line,
                label=series_name(cards.label("stage1", card.each)),
            )
        axes.set_xlabel("layer (0: embedding)")
        axes.set_ylabel("linear probe, top-1 (%)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
        if len(probes) > 1:
            axes.set_title(cards.label("probes", probe), loc="left")
    for axes in panels[len(probes) :]:
        axes.set_axis_off()
    return figure


def generation(cards: Collection) -> Figure | None:
    """Bars of the Fréchet distance of each sample set, a panel a protocol."""
    found = cards.of("evaluation")
    if not found:
        return None
    distances = [score for score in scores(cards) if score.metric == "fid"]
    if not distances:
        figure = new_figure(COLUMN, 1.2)
        say(figure.subplots(), "No evaluation computed a Fréchet distance.")
        return figure
    panels: dict[str, list[Score]] = {}
    for score in distances:
        panels.setdefault(protocol(score.card), []).append(score)
    heights = [0.24 * len(bars) + 0.5 for bars in panels.values()]
    figure = new_figure(PAGE * 0.75, sum(heights) + 0.4)
    rows = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    kinds = list(dict.fromkeys(_kind(score) for score in distances))
    drawn_kinds: dict[str, Any] = {}
    for axes, bars in zip(rows, panels.values(), strict=True):
        for place, score in enumerate(bars):
            kind = _kind(score)
            drawn = look(kinds.index(kind))
            (bar,) = axes.barh(
                place, score.value, 0.7, color=drawn.colour, hatch=drawn.hatch, edgecolor="white"
            )
            drawn_kinds.setdefault(kind, bar)
            axes.annotate(
                f"{score.value:.4g}", (score.value, place), (3, 0),
                textcoords="offset points", va="center", fontsize=7,
            )  # fmt: skip
        axes.set_yticks(range(len(bars)), [_set_name(cards, score) for score in bars])
        axes.set_ylim(len(bars) - 0.4, -0.6)
        axes.set_xlim(0, 1.12 * max(score.value for score in bars) or 1)
        axes.grid(visible=False, axis="y")
        card = bars[0].card
        reference = card.results["reference"]
        against = (
            reference_text(card)
            if over_statistics(card)
            else f"{reference['count']:,} images ({reference['split']})"
        )
        axes.set_xlabel(f"{bars[0].name}, lower is better; against {against}")
    figure.legend(
        drawn_kinds.values(),
        [f"stage 2: {kind}" for kind in drawn_kinds],
        loc="outside upper center",
        ncols=len(drawn_kinds),
    )
    return figure


def _kind(score: Score) -> str:
    return STAGE2[stage2_kind(score.card.node["inputs"]["samplings"])]


def _set_name(cards: Collection, score: Score) -> str:
    return f"{cards.label('samplings', score.card.each)} (n = {score.card.results['count']:,})"
