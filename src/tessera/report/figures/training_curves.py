"""The figure of training curves: losses of everything that is trained, over its updates."""

import json
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tessera.report.collection import TRAININGS, Card, Collection, group_by
from tessera.report.style import COLUMN, PAGE, look, new_figure, say, series_name
from tessera.report.sweep_groups import Group, sweep_groups, thinned

MOST = 6
"""Lines that a panel can show apart."""

ROWS = (("encoder", "autoencoder", "extractor"), ("stage1", "stage2"))
"""The panels of each row: those of many trainings are wider."""


@dataclass(frozen=True)
class Curve:
    """What is drawn of a stage's trainings.

    Attributes:
        title: of the panel.
        key: of the logged number.
        axis: what that is, with its unit.
    """

    title: str
    key: str
    axis: str


CURVES = {
    "encoder": Curve("Encoder", "loss", "loss, all terms (nats)"),
    # The sum of all terms would jump where the discriminator begins.
    "autoencoder": Curve("Autoencoder", "l1", "L1 of pixels in [0, 1]"),
    "extractor": Curve("Extractor", "loss", "loss (nats per image)"),
    "stage1": Curve("Stage 1", "loss", "loss (nats per token)"),
    "stage2": Curve("Stage 2", "loss", "loss (nats per token)"),
}
"""Stage → what is drawn of it."""


def training_curves(cards: Collection) -> Figure | None:
    """A panel a stage: lines for training, open marks for validation."""
    stages = group_by(cards.of(*TRAININGS), lambda card: card.stage)
    if not stages:
        return None
    rows = [found for row in ROWS if (found := [stage for stage in row if stage in stages])]
    width = PAGE if max(map(len, rows)) > 1 else COLUMN
    figure = new_figure(width, 2.4 * len(rows) + 0.3)
    places = figure.add_gridspec(len(rows), 6)
    validated = False
    for row, names in enumerate(rows):
        span = 6 // len(names)
        for column, stage in enumerate(names):
            axes = figure.add_subplot(places[row, column * span : (column + 1) * span])
            groups = sweep_groups(cards, stages[stage])
            validated |= _panel(axes, cards, CURVES[stage], groups)
    if validated:
        mark = Line2D([], [], color="black", linestyle="none", marker="o", markerfacecolor="white")
        figure.legend([mark], ["the same on the validation split"], loc="outside lower center")
    return figure


def _panel(axes: Axes, cards: Collection, curve: Curve, groups: list[Group]) -> bool:
    """Draws the trainings of one stage; returns whether any has numbers of the validation split."""
    logs = [(place, card, read_lines(card)) for place, card in thinned(groups, MOST)]
    shown = [entry for entry in logs if any(curve.key in line for line in entry[2])]
    if not shown:
        say(axes, f"{curve.title}: no line was logged.")
        return False
    validated = False
    for index, (place, card, lines) in enumerate(shown):
        drawn = look(index)
        colour = look(place).colour  # one a sweep
        steps, values = _points(lines, curve.key)
        name = series_name(cards.label(card.section, card.variant))
        axes.plot(steps, values, color=colour, linestyle=drawn.line, label=name)
        steps, values = _points(lines, f"validation_{curve.key}")
        if steps:
            validated = True
            axes.plot(
                steps, values, color=colour, linestyle="none", marker=drawn.marker,
                markerfacecolor="white", markersize=3.5,
            )  # fmt: skip
    axes.set_title(curve.title, loc="left")
    axes.set_xlabel("updates")
    axes.set_ylabel(curve.axis)
    count = sum(len(group.cards) for group in groups)
    axes.legend(
        title=f"{len(shown)} of {count} trainings" if len(shown) < count else None,
        title_fontsize=7.5, alignment="left",
    )  # fmt: skip
    return validated


def _points(lines: list[dict[str, Any]], key: str) -> tuple[list[int], list[float]]:
    """Updates and values of the lines that have a number."""
    found = [(line["step"], line[key]) for line in lines if key in line]
    return [step for step, _ in found], [value for _, value in found]


def read_lines(card: Card) -> list[dict[str, Any]]:
    """A training's log, a map a line; empty where the log is not beside the card."""
    file = card.folder / "metrics.jsonl"
    if not file.is_file():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
