"""What the bubble chart shows: models by parameters, distance, and accuracy or score.

Published and own models stand in one panel only where their numbers are of one protocol; own ones
of another extractor or reference have panels of their own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tessera.config.canonical import canonical_json
from tessera.report import seeds
from tessera.report.collection import Collection
from tessera.report.protocols import FID_AGAINST, Measure
from tessera.report.published import PublishedRow, published
from tessera.report.table import parameter_count
from tessera.report.tables.linear_probe import IMAGENET, data_of, top1
from tessera.report.tables.literature import SampleSet, is_conditional, sample_sets

REFERENCES = {
    "FID (as reported)": "FID, reference not known",
    "FID (validation)": "FID against validation images",
    "FID (ADM statistics)": "FID against ADM's statistics",
}
"""Column of a FID → what it is measured against, as the legend says it."""


@dataclass(frozen=True)
class Bubble:
    """A model.

    Attributes:
        name: what is written beside it.
        x: its distance.
        y: its accuracy in percent, or its score.
        parameters: of stage 1.
        group: the column of its distance; bubbles of one group are comparable.
        ours: whether it was made here.
    """

    name: str
    x: float
    y: float
    parameters: int
    group: str
    ours: bool = False


@dataclass(frozen=True)
class Row:
    """Two panels that share an extractor.

    Attributes:
        distance: the name of the distance.
        score: the name of the score.
        unconditional: distance against linear-probe accuracy.
        conditional: distance against score.
        published: whether published models are among them.
    """

    distance: str
    score: str
    published: bool
    unconditional: list[Bubble] = field(default_factory=list)
    conditional: list[Bubble] = field(default_factory=list)

    @property
    def bubbles(self) -> list[Bubble]:
        """Those of both panels."""
        return [*self.unconditional, *self.conditional]


def rows(cards: Collection) -> list[Row]:
    """The pairs of panels: published models first, then those of ours that are not comparable.

    Args:
        cards: all cards; without an evaluation there is nothing to compare.
    """
    if not cards.of("evaluation"):
        return []
    theirs = Row("FID", "IS", True, _published_unconditional(), _published_conditional())
    found: dict[str, Row] = {}
    for conditional in (False, True):
        evaluations = [it for it in cards.of("evaluation") if is_conditional(it) == conditional]
        sets = sample_sets(cards, evaluations)
        variants = {it.family: it.cards[0].each for it in sets}
        labels = seeds.distinct_labels(cards, "samplings", variants)
        for it in sets:
            for distance, score in _pairs(it):
                if distance.theirs:
                    row = theirs
                else:
                    said = score.name if score else "score"
                    row = found.setdefault(distance.protocol, Row(distance.name, said, False))
                panel = row.conditional if conditional else row.unconditional
                panel += _own(cards, it, labels[it.family], distance, score, conditional)
    return [theirs, *(row for row in found.values() if row.bubbles)]


def _published_conditional() -> list[Bubble]:
    return [
        Bubble(_name(row, "conditional"), row.fid, row.inception_score, row.parameters,
               FID_AGAINST[row.reference])
        for row in published("conditional")
        if row.fid and row.inception_score and row.parameters
    ]  # fmt: skip


def _published_unconditional() -> list[Bubble]:
    """The models of which a probe is published too: of one name and size."""
    accuracy = {(row.method, row.parameters): row.top1 for row in published("linear_probe")}
    found = []
    for row in published("unconditional"):
        reached = accuracy.get((row.method.split(" (")[0], row.parameters))
        if reached is not None and row.fid is not None and row.parameters is not None:
            group = FID_AGAINST[row.reference]
            name = _name(row, "unconditional")
            found.append(Bubble(name, row.fid, reached, row.parameters, group))
    return found


def _name(row: PublishedRow, table: str) -> str:
    """A method's name, with its size and its guidance where others have the same name."""
    assert row.table == table
    namesakes = [it for it in published(row.table) if it.method == row.method]
    words = [row.method]
    if len({it.parameters for it in namesakes}) > 1:
        words.append(parameter_count(row.parameters))
    if row.guidance == "cfg":
        words.append("cfg")
    return " ".join(words)


def _pairs(it: SampleSet) -> Iterator[tuple[Measure, Measure | None]]:
    """Each distance of a sample set, with the score of its protocol."""
    for distance in it.values:
        if distance.metric != "fid":
            continue
        scores = [
            other
            for other in it.values
            if other.metric == "is"
            and (other.theirs if distance.theirs else other.protocol == distance.protocol)
        ]
        yield distance, scores[0] if scores else None


def _own(
    cards: Collection,
    it: SampleSet,
    label: str,
    distance: Measure,
    score: Measure | None,
    conditional: bool,
) -> list[Bubble]:
    """The bubble of a sample set, if there is all that it takes."""
    made = cards.made_from(it.node["inputs"]["stage1"])
    if conditional:
        reached = seeds.spread(it.values[score]).mean if score else None
    else:
        reached = _accuracy(cards, it, distance.theirs)
    if made is None or reached is None:
        return []
    x = seeds.spread(it.values[distance]).mean
    return [Bubble(label, x, reached, made.results["parameters"], distance.name, ours=True)]


def _accuracy(cards: Collection, it: SampleSet, of_imagenet: bool) -> float | None:
    """Percent that a linear probe reaches on the stage-1 models that drew the sets."""
    wanted = {
        canonical_json(card.node["inputs"]["samplings"]["inputs"]["stage1"]) for card in it.cards
    }
    found: dict[str, float] = {}
    for card in cards.of("probe"):
        model = canonical_json(card.node["inputs"]["stage1"])
        if model in wanted and (not of_imagenet or data_of(cards, card) == IMAGENET):
            found.setdefault(model, 100 * top1(card))
    return seeds.spread(found.values()).mean if found else None


def sizes(shown: Sequence[Bubble]) -> list[int]:
    """Round counts of parameters for a legend, at most three, from small to large."""
    counts = [bubble.parameters for bubble in shown]
    low, high = min(counts), max(counts)
    steps = [digit * 10**power for power in range(3, 13) for digit in (1, 3)]
    fitting = [step for step in steps if low <= step <= high]
    if not fitting:
        return [high]
    middle = fitting[len(fitting) // 2]
    return sorted({fitting[0], middle, fitting[-1]})
