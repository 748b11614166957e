"""The bubble chart: parameters as area, distance against accuracy and against score."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from tessera.report.collection import Collection
from tessera.report.figures.bubble_rows import REFERENCES, Bubble, Row, rows, sizes
from tessera.report.figures.placing import Box, Disc, place
from tessera.report.style import PAGE, look, new_figure, say
from tessera.report.table import parameter_count

LARGEST = 25.0
"""Diameter of a row's largest bubble, points."""

LEAST = 4.0
"""Diameter below which a bubble would be lost, points."""

TYPE = 6.0
"""Size of the names, points."""

AREAS = {"o": 1.0, "s": math.pi / 4, "^": math.pi / 2}
"""Marker → size, in that of a disc, at which it has a disc's area."""

ABSENT = {
    "unconditional": "No unconditional model here has\nboth a distance and a linear probe.",
    "conditional": "No class-conditional model here has\nboth a distance and a score.",
}


def bubbles(cards: Collection) -> Figure | None:
    """A pair of panels with published models, and one a protocol of ours that is not theirs."""
    found = rows(cards)
    if not found:
        return None
    heights = [4.0 if row.published else 2.7 for row in found]
    figure = new_figure(PAGE, sum(heights))
    parts = figure.subfigures(len(found), 1, squeeze=False, height_ratios=heights)[:, 0]
    named: list[tuple[Any, Sequence[Bubble], list[float]]] = []
    for part, row in zip(parts, found, strict=True):
        widths = (1, 2) if row.published else (1, 1)
        panels = part.subplots(1, 2, width_ratios=widths)
        largest = max(bubble.parameters for bubble in row.bubbles)
        for axes, kind in zip(panels, ("unconditional", "conditional"), strict=True):
            shown: list[Bubble] = getattr(row, kind)
            title = "class-conditional" if kind == "conditional" else kind
            whose = " and ".join(_whose(shown) or ["ours"])
            axes.set_title(f"{title}, {whose}", loc="left")
            if not shown:
                say(axes, ABSENT[kind])
                continue
            diameters = [_diameter(bubble.parameters, largest) for bubble in shown]
            _draw(axes, shown, diameters)
            _name_axes(axes, row, kind, shown)
            named.append((axes, shown, diameters))
        _legend(part, row, largest)
    figure.canvas.draw()  # which arranges the panels
    figure.set_layout_engine("none")
    for axes, drawn, diameters in named:
        _write_names(axes, drawn, diameters)
    return figure


def _whose(shown: Sequence[Bubble]) -> list[str]:
    told = dict.fromkeys("ours" if bubble.ours else "published" for bubble in shown)
    return list(told)


def _diameter(parameters: int, largest: int) -> float:
    return max(LEAST, LARGEST * (parameters / largest) ** 0.5)


def _look_of(bubble: Bubble) -> Any:
    groups = list(REFERENCES)
    return look(groups.index(bubble.group) if bubble.group in groups else 0)


def _draw(axes: Any, shown: Sequence[Bubble], diameters: Sequence[float]) -> None:
    # Large ones first, so that none hides a smaller one.
    for bubble, diameter in sorted(zip(shown, diameters, strict=True), key=lambda it: -it[1]):
        drawn = _look_of(bubble)
        axes.scatter(
            [bubble.x], [bubble.y], s=diameter**2 * AREAS[drawn.marker], color=drawn.colour,
            marker=drawn.marker, alpha=0.65, edgecolor="black" if bubble.ours else "white",
            linewidth=1.2 if bubble.ours else 0.6,
        )  # fmt: skip


def _name_axes(axes: Any, row: Row, kind: str, shown: Sequence[Bubble]) -> None:
    axes.set_xlabel(f"{row.distance}, lower is better")
    conditional = kind == "conditional"
    axes.set_ylabel(f"{row.score}\nhigher is better" if conditional else "linear probe, top-1 (%)")
    axes.margins(x=0.18, y=0.18)
    values = [bubble.x for bubble in shown]
    if min(values) > 0 and max(values) > 4 * min(values):
        axes.set_xscale("log")
        ticks = [digit * 10.0**power for power in range(-4, 5) for digit in (1, 2, 3, 5)]
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _legend(part: SubFigure, row: Row, largest: int) -> None:
    """What areas and colours mean: a row each."""
    areas: list[Any] = [
        Line2D([], [], linestyle="none", marker="o", color="#999999",
               markersize=_diameter(size, largest), label=f"{parameter_count(size)} parameters")
        for size in sizes(row.bubbles)
    ]  # fmt: skip
    groups = {bubble.group: bubble for bubble in row.bubbles if row.published}
    colours: list[Any] = [
        Line2D([], [], linestyle="none", marker=_look_of(groups[group]).marker, markersize=8,
               color=_look_of(groups[group]).colour, alpha=0.65, label=said)
        for group, said in REFERENCES.items()
        if group in groups
    ]  # fmt: skip
    nothing = Line2D([], [], linestyle="none", label=" ")
    pairs = itertools.zip_longest(areas, colours, fillvalue=nothing)
    handles = list(itertools.chain(*pairs)) if colours else areas  # columns are filled first
    part.legend(
        handles=handles, loc="outside lower center", ncols=max(len(areas), len(colours)),
        handlelength=3, handletextpad=1, labelspacing=1.2, borderpad=0.8,
    )  # fmt: skip


def _write_names(axes: Any, shown: Sequence[Bubble], diameters: Sequence[float]) -> None:
    """Writes each name where it covers no other; a line leads to it from further away."""
    figure = axes.get_figure(root=True)
    pixel = figure.dpi / 72  # of a point
    discs, texts, boxes = [], [], []
    for bubble, diameter in zip(shown, diameters, strict=True):
        x, y = axes.transData.transform((bubble.x, bubble.y))
        discs.append(Disc(x, y, diameter / 2 * pixel))
        text = axes.text(0, 0, bubble.name, fontsize=TYPE, ha="center", va="center")
        extent = text.get_window_extent(figure.canvas.get_renderer())
        texts.append(text)
        boxes.append((extent.width + pixel, extent.height + pixel))
    frame = axes.get_window_extent()
    area = Box(frame.x0, frame.y0, frame.x1, frame.y1)
    places = place(discs, boxes, area, 2.5 * pixel)
    for text, disc, box in zip(texts, discs, places, strict=True):
        x, y = (box.left + box.right) / 2, (box.bottom + box.top) / 2
        to_data = axes.transData.inverted()
        text.set_position(to_data.transform((x, y)))
        near = (min(max(disc.x, box.left), box.right), min(max(disc.y, box.bottom), box.top))
        away = ((near[0] - disc.x) ** 2 + (near[1] - disc.y) ** 2) ** 0.5
        if away > disc.radius + 5 * pixel:
            (x0, y0), (x1, y1) = to_data.transform([(disc.x, disc.y), near])
            axes.plot([x0, x1], [y0, y1], color="#777777", linewidth=0.5, zorder=0.5)
