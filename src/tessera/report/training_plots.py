"""Figures of how things were made: losses, K-Means, time."""

import json
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tessera.config.schema import PUBLISHED, STAGE_OF
from tessera.report.collection import Card, Collection, group_by
from tessera.report.style import COLOURS, COLUMN, PAGE, look, new_figure, say, series_name

MANY = 20
"""Jobs of one variant that a bar can show apart."""


def training_curves(cards: Collection) -> Figure | None:
    """Loss over updates of the transformers: lines for training, marks for validation."""
    stages = group_by(cards.of("stage1", "stage2"), lambda card: card.stage)
    if not stages:
        return None
    titles = {"stage1": "Stage 1", "stage2": "Stage 2"}
    figure = new_figure(PAGE if len(stages) > 1 else COLUMN, 2.7)
    for axes, (stage, found) in zip(
        figure.subplots(1, len(stages), squeeze=False)[0], stages.items(), strict=True
    ):
        empty = True
        for index, card in enumerate(found):
            lines = read_lines(card)
            drawn = look(index)
            name = series_name(cards.label(stage, card.variant))
            for key, style in (
                ("loss", {"linestyle": drawn.line, "label": name}),
                (
                    "validation_loss",
                    {"linestyle": "none", "marker": drawn.marker, "markerfacecolor": "white"},
                ),
            ):
                points = [(line["step"], line[key]) for line in lines if key in line]
                if points:
                    axes.plot(*zip(*points, strict=True), color=drawn.colour, **style)
                    empty = False
        if empty:
            say(axes, f"{titles[stage]}: no line was logged.")
            continue
        axes.plot([], [], color="black", linestyle="none", marker="o", markerfacecolor="white",
                  label="validation")  # fmt: skip
        axes.set_title(titles[stage], loc="left")
        axes.set_xlabel("updates")
        axes.set_ylabel("loss (nats per token)")
        axes.legend()
    return figure


def read_lines(card: Card) -> list[dict[str, Any]]:
    """A training's log, a map a line; empty where the log is not beside the card."""
    file = card.folder / "metrics.jsonl"
    if not file.is_file():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def codebook(cards: Collection) -> Figure | None:
    """K-Means: mean squared distance at each iteration, and the sizes of the clusters, sorted."""
    found = cards.of("codebook")
    if not found:
        return None
    figure = new_figure(PAGE, 2.5)
    objective, sizes = figure.subplots(1, 2)
    for index, card in enumerate(found):
        results, drawn = card.results, look(index)
        name = series_name(
            f"{cards.label('codebooks', card.variant)} (K = {results['clusters']:,})"
        )
        means = [value / results["points"] for value in results["objective"]]
        objective.plot(
            range(1, len(means) + 1), means, color=drawn.colour, marker=drawn.marker,
            markersize=3, linestyle=drawn.line, label=name,
        )  # fmt: skip
        counts = sorted(results["counts"], reverse=True)
        sizes.plot(
            range(1, len(counts) + 1), counts, color=drawn.colour, linestyle=drawn.line,
            drawstyle="steps-mid", label=name,
        )  # fmt: skip
    for axes in (objective, sizes):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    objective.set_xlabel("iteration")
    objective.set_ylabel("mean squared distance")
    sizes.set_xlabel("cluster, by size")
    sizes.set_ylabel("points")
    sizes.set_ylim(bottom=0)
    sizes.legend()
    return figure


def time(cards: Collection) -> Figure | None:
    """Where the time goes: a bar a stage, a piece a job."""
    stages = group_by(cards.cards, lambda card: card.stage)
    if not stages:
        return None
    order = [PUBLISHED, *STAGE_OF.values()]
    for stage, after in (("usage", "tokens"), ("samples", "sampling")):
        order.insert(order.index(after) + 1, stage)
    names = [stage for stage in order if stage in stages]
    totals = [sum(card.run["seconds"] for card in stages[stage]) for stage in names]
    factor, unit = (1, "s") if max(totals) < 7200 else (3600, "h")
    figure = new_figure(PAGE, 0.26 * len(names) + 0.8)
    axes = figure.subplots()
    widest = max(totals) / factor or 1.0
    for place, stage in enumerate(names):
        left = 0.0
        variants = group_by(stages[stage], lambda card: card.variant)
        for index, (variant, jobs) in enumerate(variants.items()):
            pieces = _pieces(jobs, factor)
            width = sum(pieces)
            colour = COLOURS[index % 2]  # neighbours differ; the names stand inside
            for piece in pieces:
                axes.barh(place, piece, 0.72, left, color=colour, edgecolor="white", linewidth=0.5)
                left += piece
            # About 0.011 of the axis a letter at this size: no name leaves its piece.
            label = cards.label(jobs[0].section, variant)
            if width / widest > 0.011 * (len(label) + 2):
                axes.text(left - width / 2, place, label, ha="center", va="center",
                          color="white", fontsize=6.5)  # fmt: skip
        axes.annotate(
            f"{left:,.3g} {unit}" if left < 1000 else f"{left:,.0f} {unit}", (left, place), (3, 0),
            textcoords="offset points", va="center", fontsize=7,
        )  # fmt: skip
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, widest * 1.1)
    axes.grid(visible=False, axis="y")
    total = sum(totals) / factor
    axes.set_xlabel(f"time of all jobs ({unit}); {total:,.4g} {unit} in all")
    return figure


def _pieces(jobs: Sequence[Card], factor: float) -> list[float]:
    seconds = [card.run["seconds"] / factor for card in jobs]
    return seconds if len(seconds) <= MANY else [sum(seconds)]
