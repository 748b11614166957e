"""The ablation: sample sets in the order that the config gives, and what changes between them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tessera.config.lineage import drawn_node, draws_semantic
from tessera.config.points import said
from tessera.report import seeds
from tessera.report.collection import Card, Collection, Node
from tessera.report.seeds import Spread
from tessera.report.table import Column, Table, parameter_count, score
from tessera.report.tables.generation import LOWER_IS_BETTER, metric_name, metrics_of
from tessera.report.tables.literature import epochs, epochs_text, parameters

METRICS = ("fid", "is")
"""What the ablation is judged by; KID, precision and recall are in the table alone."""


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        label: its name.
        cards: the evaluations' cards of its sample set, or of one a seed.
        values: metric → a value a seed.
    """

    label: str
    cards: Sequence[Card]
    values: Mapping[str, Sequence[float]]

    @property
    def stage1(self) -> Node:
        """The node of the (first) stage-1 model."""
        node: Node = self.cards[0].node["inputs"]["samplings"]["inputs"]["stage1"]
        return node

    def spread(self, metric: str) -> Spread | None:
        """A metric's mean and deviation; None where the evaluation does not compute it."""
        return seeds.spread(self.values[metric]) if metric in self.values else None


def steps(cards: Collection) -> list[Step]:
    """The steps that the config names and the cards hold, in its order."""
    return list(_steps(cards))


def _steps(cards: Collection) -> Iterator[Step]:
    wanted = cards.paper.ablation
    if wanted is None:
        return
    measured = [
        card
        for card in cards.of("evaluation")
        if wanted.evaluation in _names(cards, "evaluations", card.variant)
    ]
    for row in wanted.rows:
        named = [card for card in measured if row.sampling in _names(cards, "samplings", card.each)]
        alike = {seeds.replicas(card) for card in named}
        found = [card for card in measured if seeds.replicas(card) in alike]
        if not found:
            continue
        values: dict[str, list[float]] = {}
        for card in found:
            for metric, value in metrics_of(card).items():
                values.setdefault(metric, []).append(value)
        label = row.label or seeds.label(cards, "samplings", found[0].each)
        yield Step(label, found, values)


def _names(cards: Collection, section: str, variant: str) -> set[str]:
    """The names that stand for a variant: its own, and that of a sweep over seeds alone."""
    family = seeds.family(cards, section, variant)
    return {variant, family.base} if family.settings == "{}" else {variant}


def ablation(cards: Collection) -> Table | None:
    """A row a step."""
    found = steps(cards)
    if not found:
        return None
    names = {
        metric: metric_name(card, metric)
        for step in found
        for card in step.cards
        for metric in metrics_of(card)
    }
    columns = [
        Column("step", "Step"),
        Column("changed", "Changed"),
        Column("tokens", "Tokens"),
        Column("steps", "Updates"),
        Column("epochs", "Epochs", show=epochs_text),
        Column("parameters", "Param.", show=parameter_count),
        Column("stage2_parameters"),
        *(column for metric, name in names.items() for column in _columns(metric, name)),
        Column("seeds_averaged", "Seeds"),
        Column("count"),
        Column("cards"),
    ]
    rows = [_row(cards, step, names) for step in found]
    for before, step, row in zip([None, *found], found, rows, strict=False):
        row["changed"] = ", ".join(changes(before, step)) if before else None
    caption = (
        "Ablation: a row a step, and what it changes against the row above. Updates, epochs and "
        "parameters are those of stage 1; ± is the standard deviation over seeds. Best of a column "
        "in bold, where all sets have as many images."
    )
    return Table("ablation", caption, columns, rows, alike="count")


def changes(before: Step, after: Step) -> list[str]:
    """What differs between two steps, in words; seeds do not count.

    Read from the nodes of the sample sets, so that a row never claims to change one thing where it
    changes two.
    """
    old, new = (_facts(step) for step in (before, after))
    found = [name for name in new if old.get(name) != new[name]]
    if "tokens" in found and "clusters" in found:
        found.remove("clusters")  # VQGAN codes have none
    if not found and seeds.replicas(before.cards[0]) != seeds.replicas(after.cards[0]):
        return ["other settings"]  # further up, such as the encoder
    return found


def _facts(step: Step) -> dict[str, Any]:
    """What a sample set is made with, by the words that a reader knows it by."""
    sampling = step.cards[0].node["inputs"]["samplings"]
    drawn, stage2 = drawn_node(step.stage1), sampling["inputs"].get("stage2")
    settings = dict(step.stage1["settings"])
    training = dict(settings.pop("training", {}))
    painted = {key: sampling["settings"][key] for key in ("codes", "masked")}
    facts = {
        "tokens": drawn["stage"],
        "clusters": drawn["settings"].get("clusters"),
        "updates": training.pop("steps", None),
        **{said(name): value for name, value in training.items()},
        "model": settings,
        "stage 2": stage2 and [stage2["settings"], painted],
        "draws": sampling["settings"]["semantic"],
        "images": sampling["settings"]["count"],
    }
    return {name: seeds.without_seeds(value) for name, value in facts.items()}


def _columns(metric: str, name: str) -> list[Column]:
    std = f"{name} std"
    if metric not in METRICS:
        return [Column(name), Column(std)]
    best: Any = "low" if metric in LOWER_IS_BETTER else "high"
    return [Column(name, name, best=best, spread=std, show=score), Column(std)]


def _row(cards: Collection, step: Step, names: Mapping[str, str]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "step": step.label,
        "tokens": "semantic" if draws_semantic(step.stage1) else "VQ codes",
        "steps": step.stage1["settings"].get("training", {}).get("steps"),
        "epochs": epochs(cards, step.stage1),
        "count": step.cards[0].results["count"],
        "cards": " ".join(card.path for card in step.cards),
    }
    row |= parameters(cards, step.cards[0].node["inputs"]["samplings"])
    if len(step.cards) > 1:
        row["seeds_averaged"] = len(step.cards)
    for metric, values in step.values.items():
        row |= seeds.cells(names[metric], values)
    return row
