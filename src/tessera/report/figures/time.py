"""The figure of time: where that of a run went."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from tessera.config.schema import PUBLISHED, STAGE_OF
from tessera.report.collection import Card, Collection, group_by
from tessera.report.style import COLOURS, PAGE, new_figure
from tessera.report.sweep_groups import sweep_groups

MANY = 20
"""Jobs of one variant that a bar can show apart."""


SHADES = (COLOURS[0], "#003450")
"""Neighbours differ in lightness, which everybody sees."""


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
        for index, group in enumerate(sweep_groups(cards, stages[stage])):
            pieces = _pieces(group.cards, factor)
            width = sum(pieces)
            colour = SHADES[index % 2]  # the names stand inside
            for piece in pieces:
                axes.barh(place, piece, 0.72, left, color=colour, edgecolor="white", linewidth=0.5)
                left += piece
            label = f"{group.name} ({group.points} variants)" if group.points > 1 else group.name
            # About 0.011 of the axis a letter at this size: no name leaves its piece.
            if width / widest > 0.011 * (len(label) + 2):
                axes.text(
                    left - width / 2, place, label, ha="center", va="center", color="white",
                    fontsize=6.5, bbox={"color": colour, "pad": 0.5},  # over the joints of pieces
                )  # fmt: skip
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
