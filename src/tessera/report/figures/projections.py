"""The figure of PCA against LDA on two Gaussian classes."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tessera.metrics.projections import METHODS
from tessera.report.collection import Card, Collection
from tessera.report.style import PAGE, look, new_figure

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

SHOWN = 400
"""Points of each class in the picture: more would hide one another."""
BINS = 48
CLASSES = (2, 4)
"""Looks of the classes, other than those of the two lines."""


def projections(cards: Collection) -> Figure | None:
    """The classes with both directions, their points on either line, and the accuracies."""
    found = cards.of("projections")
    if not found:
        return None
    made = new_figure(PAGE, 2.8 * len(found))
    grid = made.add_gridspec(2 * len(found), 4, width_ratios=(2.1, 1, 1, 1.7))
    for number, card in enumerate(found):
        top = 2 * number
        with np.load(card.folder / "points.npz") as archive:
            points, labels, noise = (archive[name] for name in ("points", "labels", "noise"))
        plane = made.add_subplot(grid[top : top + 2, 0])
        _draw_plane(plane, card, points, labels)
        if len(found) > 1:
            plane.set_title(cards.label("projections", card.variant), loc="left")
        level = _middle_level(card)
        for row, method in enumerate(METHODS):
            first = None
            for column, shown in enumerate((0.0, level)):
                axes = made.add_subplot(grid[top + row, 1 + column], sharex=first, sharey=first)
                first = first or axes
                _draw_line(axes, card, method, points + shown * noise, labels)
                axes.set_title(f"{method.upper()}, noise {shown:g}" if shown else method.upper())
                axes.set_xlabel("position (a.u.)")
                axes.set_ylabel("points")
        _draw_accuracies(made.add_subplot(grid[top : top + 2, 3]), card)
    return made


def _middle_level(card: Card) -> float:
    """The noise that the picture shows: the middle one of those measured, without 0."""
    levels = sorted({row["noise_std"] for row in card.results["rows"]} - {0.0})
    return float(levels[len(levels) // 2]) if levels else 0.0


def _draw_plane(axes: Axes, card: Card, points: Floats, labels: Labels) -> None:
    """Points of both classes in the plane of the first two axes, and the two directions."""
    reach = 1.1 * np.abs(points[:, :2]).max(axis=0)
    for label in (0, 1):
        drawn, shown = look(CLASSES[label]), points[labels == label][:SHOWN]
        axes.plot(
            shown[:, 0], shown[:, 1], drawn.marker, color=drawn.colour, markersize=1.6,
            markeredgewidth=0, alpha=0.7, label=f"class {label}",
        )  # fmt: skip
    for index, method in enumerate(METHODS):
        end = 2 * reach.max() * np.array(card.results["directions"][method]["direction"][:2])
        drawn = look(index)
        axes.plot(
            [-end[0], end[0]], [-end[1], end[1]], color=drawn.colour, linestyle=drawn.line,
            label=method.upper(),
        )  # fmt: skip
    axes.set_aspect("equal")
    axes.set_xlim(-reach[0], reach[0])
    axes.set_ylim(-reach[1], reach[1])
    axes.set_xlabel("first axis (a.u.)")
    axes.set_ylabel("second axis (a.u.)")
    axes.legend(loc="lower left", bbox_to_anchor=(-0.05, 1), ncols=2, markerscale=2.5)


def _draw_line(axes: Axes, card: Card, method: str, points: Floats, labels: Labels) -> None:
    """Histograms of both classes on one line, and the threshold between them."""
    fitted = card.results["directions"][method]
    values = points @ np.array(fitted["direction"])
    edges = np.linspace(values.min(), values.max(), BINS + 1).tolist()
    for label in (0, 1):
        drawn = look(CLASSES[label])
        axes.hist(
            values[labels == label], edges, histtype="stepfilled", color=drawn.colour, alpha=0.5,
            hatch=drawn.hatch, edgecolor=drawn.colour, linewidth=0.8,
        )  # fmt: skip
    axes.axvline(fitted["threshold"], color="black", linestyle=":", linewidth=1)


def _draw_accuracies(axes: Axes, card: Card) -> None:
    """What was measured, with bands, and thin lines of what is expected."""
    for index, method in enumerate(METHODS):
        rows = [row for row in card.results["rows"] if row["projection"] == method]
        rows.sort(key=lambda row: row["noise_std"])
        levels = [row["noise_std"] for row in rows]
        mean = np.array([100 * row["accuracy_mean"] for row in rows])
        std = np.array([100 * row["accuracy_std"] for row in rows])
        drawn = look(index)
        axes.fill_between(
            levels, mean - std, mean + std, color=drawn.colour, alpha=0.18, linewidth=0
        )
        axes.plot(levels, mean, drawn.marker, color=drawn.colour, label=method.upper())
        expected = [100 * row["expected_accuracy"] for row in rows]
        axes.plot(levels, expected, color=drawn.colour, linestyle=drawn.line, linewidth=0.8)
    axes.plot([], [], color="black", linewidth=0.8, label="expected")
    axes.axhline(50, color="#777777", linestyle=":", linewidth=0.8)  # guessing
    axes.set_ylim(45, 102)
    axes.set_xlabel("noise (std)")
    axes.set_ylabel("class found (%)")
    axes.legend(loc="upper right")
