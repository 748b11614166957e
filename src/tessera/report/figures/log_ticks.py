"""Ticks of logarithmic axes in plain numbers: 0.02, 50, 1,000."""

from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

FEW = 2.5
"""Decades up to which 2 and 5 get a number too: powers of ten alone would say little."""


def log_ticks(axis: Axis) -> None:
    """Numbers a logarithmic axis; call it when all is drawn, since the range decides.

    The house style takes text as it is, so matplotlib's own labels, which are formulas, would show
    their source.
    """
    low, high = axis.get_view_interval()
    few = high / low < 10**FEW
    axis.set_major_locator(LogLocator(10, subs=(1, 2, 5) if few else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axis.set_minor_formatter(NullFormatter())
