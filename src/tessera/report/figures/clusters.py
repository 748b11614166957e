"""The figure of cluster counts: how many clusters serve a linear probe."""

from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tessera.report.collection import Collection
from tessera.report.figures.cluster_counts import alike, counts
from tessera.report.style import COLUMN, look, new_figure, say


def clusters(cards: Collection) -> Figure | None:
    """Linear-probe accuracy by layer, a line a number of clusters, a panel a kind of model."""
    if len(counts(cards)) < 2:
        return None
    groups = alike(cards)
    if not groups:
        figure = new_figure(COLUMN, 1.2)
        say(
            figure.subplots(),
            "No two probed models differ in their number of clusters alone.",
        )
        return figure
    figure = new_figure(COLUMN * (1 if len(groups) == 1 else 2), 2.6 * -(-len(groups) // 2))
    grid: Any = figure.subplots(-(-len(groups) // 2), min(len(groups), 2), squeeze=False)
    panels = list(grid.flat)
    for axes, group in zip(panels, groups, strict=False):
        for index, (count, lines) in enumerate(group.lines.items()):
            drawn = look(index)
            layers = [layer for layer, _ in lines]
            low = [100 * (it.mean - (it.std or 0.0)) for _, it in lines]
            high = [100 * (it.mean + (it.std or 0.0)) for _, it in lines]
            if low != high:
                axes.fill_between(layers, low, high, color=drawn.colour, alpha=0.18, linewidth=0)
            axes.plot(
                layers, [100 * it.mean for _, it in lines], color=drawn.colour,
                marker=drawn.marker, linestyle=drawn.line, label=f"{count:,}",
            )  # fmt: skip
        axes.set_xlabel("layer (0: embedding)")
        axes.set_ylabel("linear probe, top-1 (%)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(title="clusters", title_fontsize=7.5)
        if len(groups) > 1:
            axes.set_title(group.label, loc="left")
    for axes in panels[len(groups) :]:
        axes.set_axis_off()
    return figure
