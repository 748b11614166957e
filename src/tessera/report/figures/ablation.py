"""The figure of the ablation: what each step changes."""

import textwrap

from matplotlib.figure import Figure

from tessera.report.collection import Collection
from tessera.report.style import COLUMN, PAGE, look, new_figure, say
from tessera.report.tables.ablation import METRICS, steps
from tessera.report.tables.generation import LOWER_IS_BETTER, metric_name

WORDS = 11
"""Letters of a step's name that fit side by side below an axis of half a page."""


def ablation(cards: Collection) -> Figure | None:
    """Fréchet distance and score at each step, a panel each."""
    found = steps(cards)
    if not found:
        return None
    shown = [metric for metric in METRICS if any(metric in step.values for step in found)]
    if not shown:
        figure = new_figure(COLUMN, 1.2)
        say(figure.subplots(), "The evaluation computes neither a distance nor a score.")
        return figure
    figure = new_figure(PAGE, 2.6)
    panels = figure.subplots(1, len(shown), squeeze=False)[0]
    names = [textwrap.fill(step.label, WORDS) for step in found]
    for index, (axes, metric) in enumerate(zip(panels, shown, strict=True)):
        spreads = [step.spread(metric) for step in found]
        there = [(place, it) for place, it in enumerate(spreads) if it is not None]
        drawn = look(index)
        axes.bar(
            [place for place, _ in there], [it.mean for _, it in there], 0.6,
            color=drawn.colour, hatch=drawn.hatch, edgecolor="white",
        )  # fmt: skip
        for place, it in there:
            if it.std is not None:
                axes.errorbar(place, it.mean, it.std, color="black", capsize=3)
            axes.annotate(
                f"{it.mean:.4g}", (place, it.mean + (it.std or 0.0)), (0, 4),
                textcoords="offset points", ha="center", fontsize=7,
            )  # fmt: skip
        axes.set_xticks(range(len(found)), names)
        axes.margins(y=0.12)
        axes.grid(visible=False, axis="x")
        card = next(step for step in found if metric in step.values).cards[0]
        better = "lower" if metric in LOWER_IS_BETTER else "higher"
        axes.set_ylabel(f"{metric_name(card, metric)}\n{better} is better")
        axes.set_xlabel("step of the ablation")
    return figure
