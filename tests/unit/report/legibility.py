"""What can be said of a figure without looking at it: colours, sizes, labels, places of texts.

Colour blindness is simulated as Machado, Oliveira and Fernandes (2009, "A Physiologically-based
Model for Simulation of Color Vision Deficiency", IEEE TVCG 15(6), table 1, severity 1.0) do: a
matrix over linear RGB. Differences are Euclidean in CIELAB (CIE 1976, D65).
"""

import re
from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text

VISION = {
    "full": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}

APART = 10.0
"""ΔE*ab from which two colours are told apart at a glance; 2.3 is just noticeable side by side
(Mahy, Van Eycken and Oosterlinck, 1994)."""

LIGHTNESS_APART = 20.0
"""Difference in L* from which two areas differ in print without colour."""

LEAST_POINTS = 6.0
"""Size of the smallest letters at paper size."""

SAYS_WHAT = re.compile(
    r"\(.+\)|in \[0, 1\]|\b(r?FI?D|K[DI]D?|IS)\b|\b(share|count|number of|updates|iteration|points|"
    r"cluster|similarity|distance|accuracy|score|images|top-[kp]|precision|recall)\b",
    re.IGNORECASE,
)
"""A label that says its unit in brackets, or names a count or a number without a unit."""

WHITE = (1.0, 1.0, 1.0)


def linear(colour: Any) -> np.ndarray:
    """A colour as linear RGB."""
    rgb = np.asarray(to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(colour: Any, vision: str = "full") -> np.ndarray:
    """A colour as it is seen, in CIELAB (D65)."""
    seen = np.clip(VISION[vision] @ linear(colour), 0, 1)
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
         [0.0193339, 0.1191920, 0.9503041]]
    )  # fmt: skip
    ratio = to_xyz @ seen / to_xyz.sum(axis=1)
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def difference(one: Any, other: Any, vision: str = "full") -> float:
    """ΔE*ab of two colours."""
    return float(np.linalg.norm(lab(one, vision) - lab(other, vision)))


def alike(colours: Iterable[Any]) -> list[str]:
    """The pairs of colours that some people do not tell apart."""
    return [
        f"{one} and {other} differ by {found:.1f} under {vision}"
        for one, other in combinations(dict.fromkeys(map(to_rgb, colours)), 2)
        for vision in VISION
        if (found := difference(one, other, vision)) < APART
    ]


def series(axes: Axes) -> list[tuple[tuple[float, ...], tuple[Any, ...]]]:
    """Everything drawn for data: its colour, and what tells it from others beside colour.

    Bands around a line and edges are left out: they repeat their line's colour.
    """
    found = []
    for line in axes.lines:
        if line.get_visible() and _has_points(line):
            dash = line.get_linestyle() if line.get_linestyle() != "None" else ""
            pattern = getattr(line, "_unscaled_dash_pattern", None) if dash else None
            look = (_frozen(pattern), line.get_marker() if line.get_marker() != "None" else "")
            found.append((to_rgb(line.get_color()), ("line", *look)))
    for patch in axes.patches:
        if isinstance(patch, Rectangle) and to_rgb(patch.get_facecolor()) != WHITE:
            found.append((to_rgb(patch.get_facecolor()), ("bar", patch.get_hatch() or "")))
    for points in axes.collections:
        if isinstance(points, PathCollection):
            shape = points.get_paths()[0].vertices.round(6).tobytes() if points.get_paths() else b""
            face = points.get_facecolor()
            colours = face if len(face) else points.get_edgecolor()
            found += [(to_rgb(colour), ("points", shape)) for colour in colours]
    return list(dict.fromkeys(found))


def _has_points(line: Line2D) -> bool:
    return len(line.get_xdata()) > 0


def _frozen(pattern: Any) -> Any:
    return tuple(map(_frozen, pattern)) if isinstance(pattern, list | tuple) else pattern


def told_by_colour_alone(axes: Axes) -> list[str]:
    """Pairs of series that differ in hue and in nothing else."""
    return [
        f"{one} and {other} of {look}"
        for (one, look), (other, same) in combinations(series(axes), 2)
        if one != other and look == same and abs(lab(one)[0] - lab(other)[0]) < LIGHTNESS_APART
    ]


def texts(figure: Figure) -> Iterator[Text]:
    """The texts that are seen; the figure must have been drawn."""
    for text in figure.findobj(Text):
        drawn = text.get_visible() and text.get_text().strip() and text.get_alpha() != 0
        if drawn and _is_shown(figure, text):
            yield text


def _is_shown(figure: Figure, text: Text) -> bool:
    """Whether no holder of a text is hidden, and a tick label lies within its axis."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            ticks = axis.get_major_ticks() + axis.get_minor_ticks()
            if any(text in (tick.label1, tick.label2) for tick in ticks):
                return axes.axison and axes.get_visible() and text in tick_labels(axis)
            if text in (axis.label, axis.offsetText):
                return bool(axes.axison and axes.get_visible() and axis.get_visible())
        if text in (axes.title, axes._left_title, axes._right_title):
            return axes.get_visible()
    return True


def tick_labels(axis: Axis) -> list[Text]:
    """The labels of those ticks that lie within the view."""
    if not axis.get_visible():
        return []
    low, high = sorted(axis.get_view_interval())
    slack = 1e-9 * (high - low)
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    return [
        label
        for tick in ticks
        if low - slack <= tick.get_loc() <= high + slack
        for label in (tick.label1, tick.label2)
        if label.get_visible() and label.get_text().strip()
    ]


def too_small(figure: Figure, page: float) -> list[str]:
    """Texts that are too small once the figure stands in a page, inches wide."""
    shrunk = min(1.0, page / figure.get_figwidth())
    return [
        f"{text.get_text()!r}: {text.get_fontsize() * shrunk:.1f} pt"
        for text in texts(figure)
        if text.get_fontsize() * shrunk < LEAST_POINTS
    ]


def clipped(figure: Figure) -> list[str]:
    """Texts that leave the canvas by more than a pixel."""
    width, height = figure.canvas.get_width_height()
    found = []
    for text in texts(figure):
        box = text.get_window_extent()
        if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1:
            found.append(text.get_text())
    return found


def overlapping(figure: Figure) -> list[str]:
    """Pairs of texts that lie on each other by more than a pixel in both directions."""
    boxes = [(text, text.get_window_extent()) for text in texts(figure)]
    return [
        f"{one.get_text()!r} and {other.get_text()!r}"
        for (one, a), (other, b) in combinations(boxes, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1
    ]


def without_unit(figure: Figure) -> list[str]:
    """Axes with numbers on them whose label is absent or does not say of what."""
    found = []
    for axes in figure.axes:
        if not (axes.axison and axes.get_visible()):
            continue
        for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
            labels = [text.get_text() for text in tick_labels(axis)]
            said = axis.get_label_text()
            if any(map(_is_number, labels)) and not SAYS_WHAT.search(said):
                found.append(f"{name} axis {labels[:3]}: label {said!r}")
    return found


def _is_number(text: str) -> bool:
    try:
        float(text.replace("−", "-").replace(",", "").rstrip("%kM").strip())
    except ValueError:
        return False
    return True
