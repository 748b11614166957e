"""The figure of sampling sweeps: quality over how many codes are kept, for both stages."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from tessera.config.canonical import canonical_json
from tessera.config.points import Point, is_seed
from tessera.report.collection import Collection
from tessera.report.figures.log_ticks import log_ticks
from tessera.report.outputs import SWEPT_FILTERS
from tessera.report.seeds import spread, without_seeds
from tessera.report.style import PAGE, look, new_figure, say, series_name
from tessera.report.swept import text_of
from tessera.report.tables.generation import LOWER_IS_BETTER, Score, protocol, scores

METRICS = ("fid", "is")
STAGES = {"semantic": "stage 1", "codes": "stage 2"}
KEPT = {"top_k": "top-k (codes)", "top_p": "top-p (probability)"}
ALL = "all"
"""The tick of null: nothing is left out."""

FURTHER = 3
"""How many times further than the largest number of codes the place of all codes is."""


WIDE = 10
"""Largest value over smallest one, above which a row is logarithmic: one bad point would leave the
others in a flat line."""


Found = tuple[Score, Point]
"""A number, and the point of a sweep that it was measured at."""


@dataclass(frozen=True)
class Series:
    """One line: a swept sampling, all but one of its settings fixed.

    Attributes:
        label: its name.
        values: value of the setting → the scores there, one a seed.
    """

    label: str
    values: dict[Any, list[float]]


def sampling_sweep(cards: Collection) -> Figure | None:
    """A row a protocol, number of images and metric, a column a swept setting.

    Rows share their scale.
    """
    measured, others = [], []
    for score in scores(cards):
        point = cards.point("samplings", score.card.each)
        if point is not None and any(name in point.settings for name in SWEPT_FILTERS):
            measured.append((score, point))
        elif score.metric in METRICS:
            others.append(score)
    measured += _elsewhere(measured, others)
    settings = [n for n in SWEPT_FILTERS if any(n in point.settings for _, point in measured)]
    rows: dict[tuple[str, int, str], list[Found]] = {}
    for score, point in measured:
        if score.metric in METRICS:
            row = (protocol(score.card), score.card.results["count"], score.metric)
            rows.setdefault(row, []).append((score, point))
    if not settings:
        return None
    if not rows:
        figure = new_figure(PAGE, 1.2)
        say(figure.subplots(), "No evaluation computed a Fréchet distance or a score.")
        return figure
    figure = new_figure(PAGE, 1.75 * len(rows) + 0.3)
    grid = figure.subplots(len(rows), len(settings), squeeze=False, sharex="col", sharey="row")
    for column, setting in zip(grid.T, settings, strict=True):
        places = _places(setting, [point for _, point in measured])
        for axes, found in zip(column, rows.values(), strict=True):
            series = _series(setting, found)
            for index, line in enumerate(series):
                _draw(axes, line, places, index)
            if len(series) > 1:
                axes.legend()
        stage, name = setting.split(".")
        column[-1].set_xlabel(f"{STAGES[stage]}\n{KEPT[name]}")  # panels are narrow
        _scale(column[-1], name, places)
    for axes, found in zip(grid[:, 0], rows.values(), strict=True):
        axes.set_ylabel(_title(found[0][0]))
        values = [score.value for score, _ in found]
        if min(values) > 0 and max(values) / min(values) > WIDE:
            axes.set_yscale("log")  # of all panels of the row
            log_ticks(axes.yaxis)
    return figure


def _elsewhere(measured: list[Found], others: list[Score]) -> list[Found]:
    """Sample sets that stand on a line although no sweep made them, as points of that line.

    They are like its points in everything but the swept setting and seeds: the sample set that was
    swept from, above all.
    """
    found: dict[tuple[str, str, str, str], Found] = {}
    for setting in SWEPT_FILTERS:
        known = [(other, *_without(setting, other)) for other in others]
        for score, point in measured:
            if setting not in point.settings or score.metric not in METRICS:
                continue
            line, _ = _without(setting, score)
            for other, alike, value in known:
                # Off elsewhere, a filter has left its place to another one.
                if alike == line and other.metric == score.metric and value is not None:
                    settings = {**point.settings, setting: value}
                    key = (point.base, str(settings), other.card.path, other.metric)
                    found[key] = other, replace(point, settings=settings)
    return list(found.values())


def _without(setting: str, score: Score) -> tuple[str, Any]:
    """An evaluation's node without seeds and one setting of the draws, as text; and its value."""
    stage, name = setting.split(".")
    node = without_seeds(score.card.node)
    value = node["inputs"]["samplings"]["settings"][stage].pop(name)
    return canonical_json(node), value


def _title(score: Score) -> str:
    better = "lower" if score.metric in LOWER_IS_BETTER else "higher"
    return f"{score.name}\n{better} is better\nn = {score.card.results['count']:,}"


def _series(setting: str, found: list[Found]) -> list[Series]:
    """The lines of one panel."""
    lines: dict[str, Series] = {}
    for score, point in found:
        if setting not in point.settings:
            continue
        others = {
            name: value
            for name, value in point.settings.items()
            if name != setting and not is_seed(name)
        }
        label = ", ".join(filter(None, [point.label or point.base, text_of(others)]))
        line = lines.setdefault(f"{point.base} {others}", Series(label, {}))
        line.values.setdefault(point.settings[setting], []).append(score.value)
    return list(lines.values())


def _places(setting: str, points: list[Point]) -> dict[Any, float]:
    """Value → its place on the axis; null keeps all codes and so stands at the right end."""
    values = {point.settings[setting] for point in points if setting in point.settings}
    finite = sorted(value for value in values if value is not None)
    end = 1.0 if setting.endswith("top_p") or not finite else FURTHER * finite[-1]
    return {value: float(value) for value in finite} | ({None: end} if None in values else {})


def _draw(axes: Axes, line: Series, places: Mapping[Any, float], index: int) -> None:
    """A line with error bars of one standard deviation where there are several seeds."""
    values = sorted(line.values, key=lambda value: places[value])
    told = [spread(line.values[value]) for value in values]
    drawn = look(index)
    axes.errorbar(
        [places[value] for value in values],
        [one.mean for one in told],
        yerr=[one.std or 0.0 for one in told] if any(one.count > 1 for one in told) else None,
        color=drawn.colour,
        marker=drawn.marker,
        linestyle=drawn.line,
        capsize=2,
        label=series_name(line.label),
    )


def _scale(axes: Axes, name: str, places: Mapping[Any, float]) -> None:
    """The axis of a setting: numbers of codes as powers, shares of the probability as they are."""
    if name == "top_p":
        axes.set_xlim(0, 1.04)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
        return
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    texts = [ALL if value is None else f"{value:,}" for value in places]
    axes.set_xticks(list(places.values()), texts)
