"""All figures of a run."""

from collections.abc import Callable, Iterator

from matplotlib.figure import Figure

from tessera.report import plots, training_plots
from tessera.report.collection import Collection
from tessera.report.outputs import FIGURES
from tessera.report.style import house_style

DRAW: dict[str, Callable[[Collection], Figure | None]] = {
    "generation": plots.generation,
    "linear_probe": plots.linear_probe,
    "stability": plots.stability,
    "codebook": training_plots.codebook,
    "training_curves": training_plots.training_curves,
    "time": training_plots.time,
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
