"""The tables of generated images, unconditional and class-conditional, beside published ones.

Each protocol has columns of its own (`tessera.report.protocols`). Rows that differ in seeds alone
are one row; points of a sweep over how codes are drawn are left out, since they have a table of
their own. Everything about ours is in the table `generation`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tessera.config.canonical import canonical_json
from tessera.report import seeds
from tessera.report.collection import Card, Collection, Node
from tessera.report.protocols import FID_AGAINST, Measure, measures
from tessera.report.published import PublishedRow, published
from tessera.report.seeds import Family
from tessera.report.table import (
    PRINTED,
    Column,
    Row,
    Table,
    fixed,
    parameter_count,
    score,
    shown,
)
from tessera.report.tables.generation import metrics_of, stage2_kind

OURS = "this run"
IS = "IS"


@dataclass(frozen=True)
class SampleSet:
    """What evaluations say of a sample set, or of several that differ in seeds alone.

    Attributes:
        family: what they share.
        cards: their evaluations' cards.
        values: column → a value a sample set.
    """

    family: Family
    cards: Sequence[Card]
    values: Mapping[Measure, Sequence[float]]

    @property
    def node(self) -> Node:
        """The node of the (first) sampling."""
        node: Node = self.cards[0].node["inputs"]["samplings"]
        return node


def unconditional(cards: Collection) -> Table | None:
    """Images drawn without a class."""
    return _table(cards, "unconditional")


def conditional(cards: Collection) -> Table | None:
    """Images drawn for given classes."""
    return _table(cards, "conditional")


def is_conditional(card: Card) -> bool:
    """Whether the sample set of an evaluation was drawn for given classes."""
    stage1 = card.node["inputs"]["samplings"]["inputs"]["stage1"]
    conditional: bool = stage1["settings"]["class_conditional"]
    return conditional


def sample_sets(cards: Collection, evaluations: Sequence[Card]) -> list[SampleSet]:
    """What evaluations say, a family of sample sets after the other.

    Sample sets that differ in seeds alone are one family, whether a sweep made them or not. One
    that two evaluations of one protocol measured counts once.

    Args:
        cards: all cards.
        evaluations: the cards of those that stand beside each other; points of a sweep over
            filters are left out.
    """
    kept = [card for card in evaluations if not seeds.is_swept_over_filters(cards, card.each)]
    columns = measures(cards, kept)
    grouped: dict[str, list[Card]] = {}
    for card in kept:
        alike = canonical_json(seeds.without_seeds(card.node["inputs"]["samplings"]))
        grouped.setdefault(alike, []).append(card)
    found = []
    for members in grouped.values():
        family = seeds.family(cards, "samplings", members[0].each)
        values: dict[Measure, dict[str, float]] = {}
        for card in members:
            for metric, value in metrics_of(card).items():
                values.setdefault(columns[card.path, metric], {}).setdefault(card.each, value)
        lists = {measure: list(each.values()) for measure, each in values.items()}
        found.append(SampleSet(family, members, lists))
    return found


def epochs(cards: Collection, stage1: Node) -> float | None:
    """Passes of a stage-1 training over its images; None where a card does not tell."""
    if "training" not in stage1["settings"]:
        return None
    views = stage1["inputs"]["tokens"]["inputs"]["views"]
    data = cards.made_from(views["inputs"]["data"])
    if data is None:
        return None
    training = stage1["settings"]["training"]
    seen: float = training["steps"] * training["batch"] / data.results["train_images"]
    return seen


def _table(cards: Collection, name: Literal["unconditional", "conditional"]) -> Table | None:
    evaluations = [
        card for card in cards.of("evaluation") if is_conditional(card) == (name == "conditional")
    ]
    if not evaluations:
        return None
    sets = sample_sets(cards, evaluations)
    labels = seeds.distinct_labels(cards, "samplings", {it.family: it.cards[0].each for it in sets})
    rows: list[Row] = [_published_row(row) for row in published(name)]
    rows += [_own_row(cards, it, labels[it.family]) for it in sets]
    ranked = [Measure(key, "fid", theirs=True) for key in FID_AGAINST.values()]
    ranked.append(Measure(IS, "is", theirs=True))
    ranked += [measure for it in sets for measure in it.values if measure.theirs]
    ranked += [measure for it in sets for measure in it.values]
    columns = [
        Column("type", "Type"),
        Column("method", "Method"),
        Column("ours"),
        Column("parameters", "Param.", show=parameter_count),
        Column("stage2_parameters"),
        Column("epochs", "Epochs", show=epochs_text),
        Column("guidance", "Guid." if name == "conditional" else ""),
        *(column for measure in dict.fromkeys(ranked) for column in _columns(measure)),
        Column("seeds_averaged", "Seeds"),
        Column("count"),
        Column("source"),
        Column("reference_source"),
        Column("cards"),
    ]
    return Table(name, _caption(name), columns, rows, peers="guidance")


def _columns(measure: Measure) -> list[Column]:
    show = fixed(2) if measure.metric in ("precision", "recall") else score
    std = f"{measure.name} std"
    best: Literal["low", "high"] | None = "low" if measure.lower_is_better else "high"
    if measure.name == FID_AGAINST[None] or measure.metric == "kid":
        # Nobody knows which of these FIDs are comparable; KIDs differ by less than their spread
        # over subsets, which the table `generation` tells.
        best = None
    title = measure.title.replace(" (", "\n(", 1)
    return [Column(measure.name, title, best=best, spread=std, show=show), Column(std)]


def _published_row(row: PublishedRow) -> Row:
    return {
        "type": row.type,
        "method": row.method,
        "ours": False,
        "parameters": row.parameters,
        "epochs": row.epochs,
        "guidance": row.guidance,
        FID_AGAINST[row.reference]: row.fid,
        IS: row.inception_score,
        "source": row.source,
        "reference_source": row.reference_source,
        PRINTED: {
            "parameters": row.printed.get("params"),
            FID_AGAINST[row.reference]: row.printed.get("fid"),
            IS: row.printed.get("is"),
        },
    }


def _own_row(cards: Collection, it: SampleSet, label: str) -> Row:
    row: dict[str, Any] = {
        "type": "MIM" if stage2_kind(it.node) == "masked" else "AR",
        "method": f"{label} (ours)",
        "ours": True,
        "epochs": epochs(cards, it.node["inputs"]["stage1"]),
        "guidance": "none",
        "count": it.cards[0].results["count"],
        "source": OURS,
        "cards": " ".join(card.path for card in it.cards),
    }
    row |= parameters(cards, it.node)
    sizes = [len(values) for values in it.values.values()]
    if max(sizes, default=1) > 1:
        row["seeds_averaged"] = max(sizes)
    for measure, values in it.values.items():
        row |= seeds.cells(measure.name, values)
    return row


def parameters(cards: Collection, sampling: Node) -> dict[str, int | None]:
    """Column → parameters of a sampling's models; None where a card does not tell, or none is."""
    columns = {"parameters": "stage1", "stage2_parameters": "stage2"}
    made = {key: cards.made_from(sampling["inputs"].get(stage)) for key, stage in columns.items()}
    return {key: card.results["parameters"] if card else None for key, card in made.items()}


def epochs_text(value: float | None) -> str:
    """Epochs: whole ones, but for less than ten."""
    return shown(None) if value is None else f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def _caption(name: str) -> str:
    conditional = name == "conditional"
    sources = ", those of MAR in 2406.11838 and of ImageFolder in 2410.01756"
    return (
        f"Images generated {'for given classes' if conditional else 'without a class'}. FIDs "
        "against other references are not comparable and stand in columns of their own: "
        "ImageNet's 50,000 validation images (val.), ADM's statistics of the training images "
        "(ADM), or references that are not known (other; none of these is marked as the best). "
        "Names in brackets after FD, KD, score, precision and recall are extractors other than "
        "Inception. Parameters and epochs are those of stage 1, epochs of ours its updates times "
        "batch over training images; ± is the standard deviation (n - 1) over seeds. "
        f"Published rows are as tabulated in arXiv 2410.12490{sources if conditional else ''}."
        f"{' cfg is classifier-free guidance.' if conditional else ''} Best of a column in bold"
        f"{', of rows with and without guidance' if conditional else ''}, but for KD and KID, and "
        "not where another value is within the deviation."
    )
