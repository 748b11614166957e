"""The figure of sample sets: their distances to real images."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from tessera.report.collection import Collection
from tessera.report.seeds import is_swept_over_filters, label, replicas, spread
from tessera.report.style import COLUMN, PAGE, look, new_figure, say
from tessera.report.tables.generation import (
    STAGE2,
    Score,
    over_statistics,
    protocol,
    reference_text,
    scores,
    stage2_kind,
)


def generation(cards: Collection) -> Figure | None:
    """Bars of the Fréchet distance of each sample set, a panel a protocol.

    Points of a sweep over how codes are drawn have a figure of their own, and are shown here only
    where there is nothing else.
    """
    found = cards.of("evaluation")
    if not found:
        return None
    measured = [score for score in scores(cards) if score.metric == "fid"]
    distances = [
        score for score in measured if not is_swept_over_filters(cards, score.card.each)
    ] or measured
    if not distances:
        figure = new_figure(COLUMN, 1.2)
        say(figure.subplots(), "No evaluation computed a Fréchet distance.")
        return figure
    panels: dict[str, list[list[Score]]] = {}
    for alike in group_alike(distances):
        panels.setdefault(protocol(alike[0].card), []).append(alike)
    heights = [0.24 * len(bars) + 0.5 for bars in panels.values()]
    figure = new_figure(PAGE * 0.75, sum(heights) + 0.4)
    rows = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    kinds = list(dict.fromkeys(_kind(score) for score in distances))
    drawn_kinds: dict[str, Any] = {}
    for axes, bars in zip(rows, panels.values(), strict=True):
        told = [spread(score.value for score in alike) for alike in bars]
        for place, (alike, value) in enumerate(zip(bars, told, strict=True)):
            kind = _kind(alike[0])
            drawn = look(kinds.index(kind))
            (bar,) = axes.barh(
                place, value.mean, 0.7, color=drawn.colour, hatch=drawn.hatch, edgecolor="white"
            )
            drawn_kinds.setdefault(kind, bar)
            if value.std is not None:
                axes.errorbar(value.mean, place, xerr=value.std, color="black", capsize=2)
            axes.annotate(
                f"{value.mean:.4g}", (value.mean + (value.std or 0.0), place), (3, 0),
                textcoords="offset points", va="center", fontsize=7,
            )  # fmt: skip
        axes.set_yticks(range(len(bars)), [_set_name(cards, alike) for alike in bars])
        axes.set_ylim(len(bars) - 0.4, -0.6)
        axes.set_xlim(0, 1.12 * max(value.mean + (value.std or 0.0) for value in told) or 1)
        axes.grid(visible=False, axis="y")
        card = bars[0][0].card
        reference = card.results["reference"]
        against = (
            reference_text(card)
            if over_statistics(card)
            else f"{reference['count']:,} images ({reference['split']})"
        )
        # To the left there is room below the names; a centred one would leave the figure.
        axes.set_xlabel(f"{bars[0][0].name}, lower is better; against {against}", loc="right")
    figure.legend(
        drawn_kinds.values(),
        [f"stage 2: {kind}" for kind in drawn_kinds],
        loc="outside upper center",
        ncols=len(drawn_kinds),
    )
    return figure


def _kind(score: Score) -> str:
    return STAGE2[stage2_kind(score.card.node["inputs"]["samplings"])]


def group_alike(found: Sequence[Score]) -> list[list[Score]]:
    """Numbers of sample sets that differ in seeds alone, together."""
    groups: dict[str, list[Score]] = {}
    for score in found:
        groups.setdefault(protocol(score.card) + replicas(score.card), []).append(score)
    return list(groups.values())


def _set_name(cards: Collection, alike: Sequence[Score]) -> str:
    card = alike[0].card
    seeds = f", {len(alike)} seeds" if len(alike) > 1 else ""
    point = cards.point("samplings", card.each)
    if point is None:
        name = cards.label("samplings", card.each)
    else:  # without the seed
        name = label(cards, "samplings", card.each)
    return f"{name} (n = {card.results['count']:,}{seeds})"
