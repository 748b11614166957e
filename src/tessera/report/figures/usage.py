"""The figure of codebook usage: how often each code of a token set comes."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tessera.report.collection import Card, Collection
from tessera.report.figures.log_ticks import log_ticks
from tessera.report.style import PAGE, look, new_figure, say, series_name
from tessera.report.sweep_groups import sweep_groups, thinned

MOST = 6
"""Lines that can be told apart."""


def usage(cards: Collection) -> Figure | None:
    """Share of each code over its rank, both on logarithmic axes, a line a token set."""
    found = cards.of("usage")
    if not found:
        return None
    groups = sweep_groups(cards, found)
    shown = [
        (place, card, counts)
        for place, card in thinned(groups, MOST)
        if (counts := read_counts(card)) is not None
    ]
    figure = new_figure(PAGE, 3.0)
    axes = figure.subplots()
    if not shown:
        say(axes, "No histogram lies beside the cards of the stage usage.")
        return figure
    for index, (place, card, counts) in enumerate(shown):
        drawn = look(index)
        share = np.sort(counts[counts > 0])[::-1] / counts.sum()
        axes.plot(
            range(1, len(share) + 1), share, color=look(place).colour, linestyle=drawn.line,
            drawstyle="steps-mid", label=series_name(f"{_name(cards, card)}\n{_words(card)}"),
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        log_ticks(axis)
    axes.set_xlabel("code, by how often it comes (rank)")
    axes.set_ylabel("share of all tokens")
    figure.legend(
        loc="outside right upper",
        title=f"{len(shown)} of {len(found)} token sets" if len(shown) < len(found) else None,
        title_fontsize=7.5, alignment="left",
    )  # fmt: skip
    return figure


def _name(cards: Collection, card: Card) -> str:
    return cards.label(card.section, card.variant)


def _words(card: Card) -> str:
    results = card.results
    return (
        f"{results['dead']:,} of {results['vocabulary']:,} codes never come\n"
        f"{results['entropy_bits']:.2f} bits, perplexity {results['perplexity']:,.3g}"
    )


def read_counts(card: Card) -> NDArray[np.int64] | None:
    """How often each code comes, int64 [K]; None where the histogram is not beside the card."""
    file: Path = card.folder / "histograms.npz"
    if not file.is_file():
        return None
    with np.load(file) as arrays:
        counts: NDArray[np.int64] = arrays["codes"]
    return counts
