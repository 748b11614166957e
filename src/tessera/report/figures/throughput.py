"""The figure of throughput: images a second that one job of each stage gets through."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.artist import Artist
from matplotlib.figure import Figure

from tessera.report.collection import TRAININGS, Card, Collection
from tessera.report.figures.log_ticks import log_ticks
from tessera.report.style import PAGE, look, new_figure, say
from tessera.report.sweep_groups import sweep_groups

STAGES = (*TRAININGS[:2], "tokens", *TRAININGS[3:], "sampling", TRAININGS[2], "evaluation")
"""Stages that images pass through, in the order in which the data goes."""

MOST = 8
"""Bars of one stage; what is more is told as one."""


@dataclass(frozen=True)
class Rate:
    """A bar.

    Attributes:
        stage: the stage.
        name: variant, or variants.
        images: images a second.
        tokens: tokens a second, of stages that compute a token at a time; None for others.
        device: what computed.
    """

    stage: str
    name: str
    images: float
    tokens: float | None
    device: str


def throughput(cards: Collection) -> Figure | None:
    """Bars of images a second on a logarithmic axis, a bar a variant, a colour a device.

    The seconds are wall time of jobs that may have run side by side, so no bar is a benchmark.
    """
    found = rates(cards)
    if not found:
        if not cards.of(*STAGES):
            return None
        figure = new_figure(PAGE, 1.2)
        say(figure.subplots(), "No card says how long its job took for how many images.")
        return figure
    figure = new_figure(PAGE, 0.19 * len(found) + 0.9)
    axes = figure.subplots()
    devices = list(dict.fromkeys(rate.device for rate in found))
    bars: dict[str, Artist] = {}
    for place, rate in enumerate(found):
        drawn = look(devices.index(rate.device))
        (bar,) = axes.barh(
            place, rate.images, 0.72, color=drawn.colour, hatch=drawn.hatch, edgecolor="white"
        )
        bars.setdefault(rate.device, bar)
        text = f"{rate.images:,.3g}" if rate.images < 1000 else f"{rate.images:,.0f}"
        if rate.tokens is not None:
            text += f" ({rate.tokens:,.0f} tokens/s)"
        axes.annotate(
            text, (rate.images, place), (3, 0), textcoords="offset points", va="center", fontsize=7
        )
    axes.set_xscale("log")
    least, most = (pick(rate.images for rate in found) for pick in (min, max))
    # Room for the words behind the longest bar; the shortest keeps a length that can be seen.
    axes.set_xlim(least / 2, most * (most / least * 2) ** 0.35)
    log_ticks(axes.xaxis)
    axes.set_yticks(range(len(found)), [f"{rate.stage}: {rate.name}" for rate in found])
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("images per second of a job's wall time, beside other jobs (no benchmark)")
    figure.legend(list(bars.values()), list(bars), loc="outside upper center", ncols=len(bars))
    return figure


def rates(cards: Collection) -> list[Rate]:
    """The throughput of each variant, points of a sweep together, by stage and device."""
    made = []
    for stage in STAGES:
        found = [card for card in cards.of(stage) if _work(card) and card.run["seconds"] > 0]
        for device in dict.fromkeys(card.run["device"] for card in found):
            groups = sweep_groups(cards, [card for card in found if card.run["device"] == device])
            named = [(group.name, list(group.cards), group.points) for group in groups]
            if len(named) > MOST:
                rest = named[MOST - 1 :]
                jobs = [card for _, some, _ in rest for card in some]
                count = sum(points for _, _, points in rest)
                named = [*named[: MOST - 1], ("others", jobs, count)]
            made += [
                _rate(cards, stage, f"{name} ({points} variants)" if points > 1 else name, jobs)
                for name, jobs, points in named
            ]
    return made


def _rate(cards: Collection, stage: str, name: str, jobs: Sequence[Card]) -> Rate:
    seconds = sum(card.run["seconds"] for card in jobs)
    tokens = [_tokens(cards, card) for card in jobs]
    known = [count for count in tokens if count is not None]
    return Rate(
        stage,
        name,
        sum(_work(card) for card in jobs) / seconds,
        sum(known) / seconds if known and len(known) == len(tokens) else None,
        jobs[0].run["device"],
    )


def _work(card: Card) -> float:
    """Images that a job got through: of a training that went on, those of its last run."""
    results = card.results
    if card.stage in TRAININGS:
        return float((results["steps"] - card.run.get("resumed_at", 0)) * results["batch"])
    if card.stage == "tokens":
        return float(results["images"] * results.get("views", 1))
    if card.stage == "sampling":
        return float(results["images"])
    return float(results["count"])  # of samples that an evaluation compares


def _tokens(cards: Collection, card: Card) -> float | None:
    """Tokens that a job computed one by one or at once with a transformer, if that is known."""
    if card.stage not in ("stage1", "stage2"):
        return None
    inputs = card.node["inputs"]
    drawn = cards.made_from(inputs.get("codes") or inputs.get("tokens"))
    length = drawn.results.get("length") if drawn else None
    return None if length is None else _work(card) * length
