"""The table of sample sets: what drew them, and how far they are from real images.

A number is comparable only with numbers of its own protocol, which is the extractor and the
reference images. Each protocol has columns of its own.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tessera.config.canonical import canonical_json
from tessera.metrics.names import INCEPTION, SHORT, short_names
from tessera.report.collection import Card, Collection, Node, seeds
from tessera.report.seeds import is_swept_over_filters
from tessera.report.table import Column, Row, Table, fixed, shown

LOWER_IS_BETTER = ("fid", "kid")
_INCEPTION_ONLY = re.compile(r"(FID|IS|KID)\b")

STAGE2 = {
    "autoregressive": "autoregressive",
    "masked": "masked",
    None: "none (VQ only)",
}

CONDITIONS = {"count": "Images", "weights": "Weights", "reference": "Reference"}
"""What tables tell in the caption where it is the same in all rows: key → title."""


@dataclass(frozen=True)
class Score:
    """One metric of one evaluation.

    Attributes:
        card: the evaluation's card.
        metric: its key, such as "fid".
        name: what it may be called; unique for its protocol.
        value: the number.
        spread: its standard deviation, where there is one.
    """

    card: Card
    metric: str
    name: str
    value: float
    spread: float | None


def protocol(card: Card) -> str:
    """What numbers must share to be comparable: extractor and reference images."""
    results = card.results
    return canonical_json(
        [results["extractor"], results["reference"], card.node["inputs"].get("views")]
    )


def over_statistics(card: Card) -> bool:
    """Whether an evaluation's reference is published statistics; otherwise it is images."""
    return card.results["reference"].get("kind") == "statistics"


def reference_text(card: Card) -> str:
    """The reference of an evaluation, such as "validation, 50,000" or "ADM statistics"."""
    if over_statistics(card):
        return "ADM statistics"
    reference = card.results["reference"]
    return f"{reference['split']}, {reference['count']:,}"


def metric_name(card: Card, metric: str) -> str:
    """The name under which an evaluation's metric may be printed.

    FID, IS and KID are numbers over Inception; any other extractor keeps its own name. A distance
    to published statistics says so.
    """
    extractor = card.results["extractor"]
    inception = extractor["kind"] == "inception"
    own = short_names(INCEPTION if inception else extractor["name"], over_statistics(card))[metric]
    said: str | None = card.results.get("names", {}).get(metric)
    if said is None or (inception and metric == "fid"):
        return own  # images and statistics are never mixed up, whatever the card says
    return own if not inception and _INCEPTION_ONLY.match(said) else said


def scores(cards: Collection) -> list[Score]:
    """All metrics of all evaluations, protocols told apart in their names."""
    found = cards.of("evaluation")
    # Two protocols may call their numbers alike (one extractor, two reference sets): then the
    # names of the evaluations tell them apart.
    called: dict[str, set[str]] = {}
    variants: dict[str, dict[str, str]] = {}
    for card in found:
        label = cards.label("evaluations", card.variant)
        variants.setdefault(protocol(card), {})[card.variant] = label
        for metric in metrics_of(card):
            called.setdefault(metric_name(card, metric), set()).add(protocol(card))
    made = []
    for card in found:
        for metric, value in metrics_of(card).items():
            name = metric_name(card, metric)
            if len(called[name]) > 1:
                name += f", {' / '.join(variants[protocol(card)].values())}"
            spread = card.results["metrics"].get(f"{metric}_std")
            made.append(Score(card, metric, name, value, spread))
    return made


def generation(cards: Collection) -> Table | None:
    """A row a sample set and evaluation.

    Points of a sweep over how codes are drawn are left out, since they have a table of their own,
    unless there is nothing else.
    """
    every = cards.of("evaluation")
    if not every:
        return None
    found = [card for card in every if not is_swept_over_filters(cards, card.each)] or every
    kept = {card.path for card in found}
    measured = [score for score in scores(cards) if score.card.path in kept]
    rows = []
    for card in found:
        row = _protocol_of(cards, card)
        for score in measured:
            if score.card is card:
                row |= {score.name: score.value, f"{score.name} std": score.spread}
        rows.append(row)
    ranked: dict[str, list[Column]] = {}
    for score in measured:
        best = "low" if score.metric in LOWER_IS_BETTER else "high"
        show = fixed(3) if score.metric in ("precision", "recall") else None
        options: dict[str, Any] = {"best": best} | ({"show": show} if show else {})
        spread = f"{score.name} std" if score.spread is not None else None
        ranked[score.name] = [Column(score.name, two_lines(score.name), spread=spread, **options)]
        if spread is not None:
            ranked[score.name].append(Column(spread))
    common, told = _common(rows)
    columns = [
        Column("variant"),
        Column("set", "Sample set"),
        Column("evaluation"),
        Column("conditional", "Class\ngiven"),
        Column("stage2_kind"),
        Column("stage1"),
        Column("stage2"),
        Column("stage1_parameters"),
        Column("stage2_parameters"),
        Column("stage1_steps"),
        Column("stage2_steps"),
        Column("steps", "Updates", data=False),
        Column("filters", "Draws", show=lambda text: shown(text).replace("T 1, ", "")),
        *(column for columns in ranked.values() for column in columns),
        *(Column(key, "" if key in common else title) for key, title in CONDITIONS.items()),
        Column("reference_digest"),
        Column("extractor"),
        Column("extractor_digest"),
        Column("seeds"),
        Column("card"),
    ]
    caption = (
        "Generated images against real ones. FD and KD over an extractor other than Inception are "
        "no FID and no KID; numbers of different extractors or references (other images, or ADM's "
        "statistics) stand in different columns. Updates and draws: stage 1, then stage 2, if "
        "there is one; T is the temperature where it is not 1. ± is the standard deviation of a "
        "score over 10 splits of the images and of a KD or KID over 100 subsets, as these are "
        f"defined (n, not n - 1).{told} Best of a column in bold, among sets with a class and "
        "among those without, where all have as many images and no other is within the deviation."
    )
    return Table("generation", caption, columns, rows, alike="count", peers="conditional")


def _common(rows: Sequence[Row]) -> tuple[set[str], str]:
    """The conditions that all rows share, and the sentence of the caption that tells them."""
    common = {key for key in CONDITIONS if len({row[key] for row in rows}) == 1}
    if not common:
        return common, ""
    parts = (f"{CONDITIONS[key].lower()} {shown(rows[0][key])}" for key in CONDITIONS
             if key in common)  # fmt: skip
    return common, f" The same for all: {'; '.join(parts)}."


def two_lines(name: str) -> str:
    """A metric's name as a heading of two lines: its extractor stands on the second."""
    first, bracket, extractor = name.partition(" (")
    before, space, last = first.rpartition(" ")
    if bracket and space:  # a name of two words is the wider one
        return f"{before}\n{last} ({extractor}"
    return f"{first}\n({extractor}" if bracket else name


def draws(sampling: Node) -> str:
    """How a sample set was drawn, such as "top-k 100; top-p 0.8" for stage 1 and stage 2."""
    settings = sampling["settings"]
    texts = [_filter(settings["semantic"])]
    kind = stage2_kind(sampling)
    if kind == "autoregressive":
        texts.append(_filter(settings["codes"]))
    elif kind == "masked":
        masked = settings["masked"]
        texts.append(
            f"{masked['steps']} steps, T {masked['temperature']:g}, "
            f"choice T {masked['choice_temperature']:g}"
        )
    return "; ".join(texts)


def stage2_kind(sampling: Node) -> str | None:
    """How stage 2 decodes, or None: the VQ-only baseline has no stage 2."""
    stage2 = sampling["inputs"].get("stage2")
    if stage2 is None:
        return None
    settings = stage2["settings"]
    kind: str = settings["decoder"] if settings["kind"] == "published" else settings["kind"]
    return kind


def _filter(settings: dict[str, Any]) -> str:
    temperature = f"T {settings['temperature']:g}"
    if settings["temperature"] == 0:
        return "greedy"
    if settings.get("top_p") is not None:  # wins over top-k
        return f"{temperature}, top-p {settings['top_p']:g}"
    if settings.get("top_k") is not None:
        return f"{temperature}, top-k {settings['top_k']}"
    return temperature


def metrics_of(card: Card) -> dict[str, float]:
    """The metrics of an evaluation, without their deviations."""
    return {
        metric: card.results["metrics"][metric]
        for metric in SHORT.values()
        if metric in card.results["metrics"]
    }


def _protocol_of(cards: Collection, card: Card) -> dict[str, Any]:
    """Everything of a row but its numbers."""
    results = card.results
    sampling = card.node["inputs"]["samplings"]
    row: dict[str, Any] = {
        "variant": card.each,
        "set": cards.label("samplings", card.each),
        "evaluation": card.variant,
        "conditional": sampling["inputs"]["stage1"]["settings"]["class_conditional"],
        "stage2_kind": STAGE2[stage2_kind(sampling)],
        "filters": draws(sampling),
        "count": results["count"],
        "weights": results["weights"],
        "reference": reference_text(card),
        "reference_digest": results["reference"]["digest"],
        "extractor": results["extractor"]["name"],
        "extractor_digest": results["extractor"]["digest"],
        "seeds": seeds(card.node),
        "card": card.path,
    }
    for stage in ("stage1", "stage2"):
        node = sampling["inputs"].get(stage)
        if node is None:
            continue
        if "training" in node["settings"]:  # a published model does not tell
            row[f"{stage}_steps"] = node["settings"]["training"]["steps"]
        made = cards.made_from(node)
        if made is not None:
            row[stage] = made.variant
            row[f"{stage}_parameters"] = made.results["parameters"]
    both = [row.get(f"{stage}_steps") for stage in ("stage1", "stage2")]
    row["steps"] = "+".join(shown(value) for value in both if value is not None) or None
    return row
