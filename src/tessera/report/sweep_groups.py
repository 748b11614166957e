"""Cards grouped by the variant of the config file that they come from, a sweep as one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tessera.config.points import said
from tessera.report.collection import Card, Collection, group_by


@dataclass(frozen=True)
class Group:
    """The jobs of one variant, or of all points that one variant is swept to.

    Attributes:
        name: the name to show; of sweeps that share one, with the settings that are swept.
        cards: the jobs, in the order of the config.
        points: how many variants they are; 1 where nothing is swept.
    """

    name: str
    cards: Sequence[Card]
    points: int


def sweep_groups(cards: Collection, found: Sequence[Card]) -> list[Group]:
    """Groups cards of one stage, in the order of first appearance."""

    def base(card: Card) -> str:
        point = cards.point(card.section, card.variant)
        return card.variant if point is None else point.base

    groups = group_by(found, lambda card: f"{card.section}/{base(card)}")
    made = []
    for jobs in groups.values():
        variants = list(dict.fromkeys(card.variant for card in jobs))
        made.append(Group(_name(cards, jobs[0].section, variants), jobs, len(variants)))
    names = [group.name for group in made]
    return [
        replace(group, name=f"{group.name}, {swept}")
        if names.count(group.name) > 1 and (swept := _swept(cards, group.cards[0]))
        else group
        for group in made
    ]


def _swept(cards: Collection, card: Card) -> str:
    """What the sweep sets that made a job: "top-k"; nothing where there is none."""
    point = cards.point(card.section, card.variant)
    if point is None:
        return ""
    return ", ".join(said(setting.rpartition(".")[2]) for setting in point.settings)


def _name(cards: Collection, section: str, variants: Sequence[str]) -> str:
    """What the points' labels have in common: each names its base first, then its settings."""
    labels = [cards.label(section, variant).split(", ") for variant in variants]
    if len(labels) == 1:
        return ", ".join(labels[0])
    common = 0
    for words in zip(*labels, strict=False):
        if len(set(words)) > 1:
            break
        common += 1
    point = cards.point(section, variants[0])
    return ", ".join(labels[0][:common]) or (point.base if point else variants[0])


def thinned(groups: Sequence[Group], most: int) -> list[tuple[int, Card]]:
    """At most so many cards of all groups, spread over the groups and evenly within each.

    Args:
        groups: of one stage.
        most: cards to keep, at least 1.

    Returns:
        Number of the group and card, in the order of the groups.
    """
    groups = groups[:most]
    sizes = [0] * len(groups)
    left = min(most, sum(len(group.cards) for group in groups))
    while left:  # a card a group and round
        for place, group in enumerate(groups):
            if left and sizes[place] < len(group.cards):
                sizes[place] += 1
                left -= 1
    return [
        (place, group.cards[at])
        for place, (group, size) in enumerate(zip(groups, sizes, strict=True))
        for at in _spread(len(group.cards), size)
    ]


def _spread(count: int, wanted: int) -> list[int]:
    """`wanted` of `count` places, the first and last among them where two or more are wanted."""
    if wanted == 1:
        return [0]
    return [round(i * (count - 1) / (wanted - 1)) for i in range(wanted)]
