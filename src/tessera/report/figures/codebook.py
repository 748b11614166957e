"""The figure of K-Means: its objective, and the sizes of its clusters."""

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tessera.report.collection import Collection
from tessera.report.style import PAGE, look, new_figure, series_name
from tessera.report.sweep_groups import sweep_groups, thinned

MOST = 6
"""Codebooks that a panel can show apart."""


def codebook(cards: Collection) -> Figure | None:
    """K-Means: mean squared distance at each iteration, and the sizes of the clusters, sorted."""
    found = cards.of("codebook")
    if not found:
        return None
    figure = new_figure(PAGE, 2.5)
    objective, sizes = figure.subplots(1, 2)
    for index, (_, card) in enumerate(thinned(sweep_groups(cards, found), MOST)):
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
    sizes.legend(
        title=f"{MOST} of {len(found)} codebooks" if len(found) > MOST else None,
        title_fontsize=7.5, alignment="left",
    )  # fmt: skip
    return figure
