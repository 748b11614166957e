"""Which points of sweeps a card tells of, and the columns that their settings have in tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tessera.config.canonical import canonical_json
from tessera.config.jobs import LISTED
from tessera.config.kinds import SECTIONS
from tessera.config.points import point_text, short_words
from tessera.report.collection import Card, Collection

NONE = "none"
"""A swept setting that is null: an empty cell would look like one that is not swept."""


@dataclass(frozen=True)
class Swept:
    """The points that a card tells of.

    Attributes:
        section: the section of the swept variant.
        base: its name in the config file.
        label: its name to show.
        settings: column → value, such as {"samplings.semantic.top_k": 5}.
    """

    section: str
    base: str
    label: str
    settings: Mapping[str, Any]


def swept(cards: Collection, card: Card) -> Swept | None:
    """The points that a card tells of; None for what no sweep made.

    Of a job that measures one entry of a list it is the entry that counts, with the settings of the
    measuring variant beside its own where that is swept too.
    """
    places = [(card.section, card.variant)]
    if card.section in LISTED:
        places.insert(0, (LISTED[card.section], card.each))
    found = [(section, cards.point(section, variant)) for section, variant in places]
    points = [(section, point) for section, point in found if point is not None]
    if not points:
        return None
    settings: dict[str, Any] = {}
    for section, point in points:
        settings |= _columns(section, point.settings)
    section, first = points[0]
    return Swept(section, first.base, first.label or first.base, settings)


def _columns(section: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Column → value: section and setting, whichever variant of the section is swept.

    Where a variant stands on two sweeps of one setting of one section, their names tell them apart.
    """
    places = {}
    for key in settings:
        owner, *rest = key.split(".")
        # A setting of the variant's own, or one of another: section, name, path.
        other = owner in SECTIONS and len(rest) > 1
        places[key] = f"{owner}.{'.'.join(rest[1:])}" if other else f"{section}.{key}"
    columns = list(places.values())
    return {
        place if columns.count(place) == 1 else key: _cell(settings[key])
        for key, place in places.items()
    }


def _cell(value: Any) -> Any:
    if value is None:
        return NONE
    return canonical_json(value) if isinstance(value, list | tuple) else value


def columns_of(cards: Collection) -> list[str]:
    """The columns of all swept settings, in the order of the cards."""
    points = (swept(cards, card) for card in cards.cards)
    return list(dict.fromkeys(name for point in points if point for name in point.settings))


def text_of(settings: Mapping[str, Any]) -> str:
    """Settings of a point as people read them: "top-k 5, seed 1"."""
    axes = {tuple(column.split(".")): value for column, value in settings.items()}
    values = {axis: None if value == NONE else value for axis, value in axes.items()}
    return point_text(short_words(list(axes)), values)
