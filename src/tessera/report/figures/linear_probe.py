"""The figure of linear probes: accuracy by layer."""

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tessera.report.collection import Collection, group_by
from tessera.report.style import COLUMN, look, new_figure, series_name


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
