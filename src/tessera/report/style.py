"""How all figures look, and how they are written: equal cards give equal bytes.

Colours are those of Okabe and Ito (2008), which people with colour-blindness tell apart; line
styles and markers say the same again, for print without colour.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tessera.io.files import whole_file

COLOURS = (
    "#0072B2",  # blue
    "#D55E00",  # vermilion
    "#009E73",  # bluish green
    "#CC79A7",  # reddish purple
    "#E69F00",  # orange
    "#56B4E9",  # sky blue
    "#000000",
)
"""Okabe and Ito's palette, but for its yellow, which is too pale for lines on white."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (8, 2, 1, 2, 1, 2)), (0, (1, 4)))
HATCHES = ("", "///", "...", "xx", "\\\\\\", "---", "OO")

COLUMN, PAGE = 3.4, 7.0
"""Widths of a paper's column and page, inches."""

DPI = 180

_SETTINGS: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so every machine has it
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
    "hatch.linewidth": 0.5,
    "figure.facecolor": "white",
    "pdf.fonttype": 42,  # outlines that journals accept and programs can search
    "text.parse_math": False,  # a label may hold a dollar sign
    "text.usetex": False,
    "axes.unicode_minus": True,
}


@dataclass(frozen=True)
class Look:
    """How one series is drawn."""

    colour: str
    marker: str
    line: Any
    hatch: str


def look(index: int) -> Look:
    """The look of the series with this index.

    Colours, markers and lines are seven each. Each further round of seven pairs them anew, so that
    no two of 49 series share two of the three.
    """
    turn = index // len(COLOURS)
    return Look(
        COLOURS[index % len(COLOURS)],
        MARKERS[(index + turn) % len(MARKERS)],
        LINES[(index + 2 * turn) % len(LINES)],
        HATCHES[(index + turn) % len(HATCHES)],
    )


@contextmanager
def house_style() -> Iterator[None]:
    """Draws with these settings alone, whatever the machine's matplotlibrc says."""
    # The backend is left alone: figures are made without pyplot and carry their own canvas.
    settings: Any = {k: v for k, v in matplotlib.rcParamsDefault.items() if k != "backend"}
    with matplotlib.rc_context(settings | _SETTINGS):
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def series_name(text: str) -> str:
    """A name as a legend takes it: matplotlib hides names that begin with an underscore."""
    return f" {text}" if text.startswith("_") else text


def say(axes: Axes, text: str) -> None:
    """Words in place of an empty box."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, wrap=True)


def save(figure: Figure, png: Path, pdf: Path) -> None:
    """Writes a figure for the screen and for print; no times and no versions go into the files."""
    with whole_file(png) as temporary:
        figure.savefig(temporary, format="png", dpi=DPI, metadata={"Software": None})
    with whole_file(pdf) as temporary:
        silent = {"CreationDate": None, "Creator": None, "Producer": None}
        figure.savefig(temporary, format="pdf", metadata=silent)
