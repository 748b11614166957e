"""All figures of a run."""

from collections.abc import Callable, Iterator

from matplotlib.figure import Figure

from tessera.report.collection import Collection
from tessera.report.figures.ablation import ablation
from tessera.report.figures.bubbles import bubbles
from tessera.report.figures.clusters import clusters
from tessera.report.figures.codebook import codebook
from tessera.report.figures.generation import generation
from tessera.report.figures.linear_probe import linear_probe
from tessera.report.figures.projections import projections
from tessera.report.figures.sampling_sweep import sampling_sweep
from tessera.report.figures.stability import stability
from tessera.report.figures.throughput import throughput
from tessera.report.figures.time import time
from tessera.report.figures.training_curves import training_curves
from tessera.report.figures.usage import usage
from tessera.report.outputs import FIGURES
from tessera.report.style import house_style

DRAW: dict[str, Callable[[Collection], Figure | None]] = {
    "generation": generation,
    "bubbles": bubbles,
    "ablation": ablation,
    "linear_probe": linear_probe,
    "clusters": clusters,
    "stability": stability,
    "projections": projections,
    "codebook": codebook,
    "usage": usage,
    "sampling_sweep": sampling_sweep,
    "training_curves": training_curves,
    "throughput": throughput,
    "time": time,
}
"""Figure → what draws it; None where no card has anything for it."""


def draw_figures(cards: Collection) -> Iterator[tuple[str, Figure]]:
    """The figures that these cards give, one after the other.

    A figure without a card is not made; one whose cards hold nothing to draw says so in words.
    Save each before asking for the next: the style holds until then.
    """
    for name in FIGURES:
        with house_style():
            figure = DRAW[name](cards)
            if figure is not None:
                yield name, figure
