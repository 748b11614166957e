"""Sweeps: one variant of the config files becomes a variant a point.

A `sweep` is a grid (a map from settings to lists of values) or a list of points (maps from settings
to values). What names a swept variant is swept along: each of its points names the same point of
all that it needs, as a natural join of tables pairs rows, so that one axis is never crossed with
itself. A list of names takes all points instead, or, where its own variant is swept along with the
same sweep, those that belong to its point.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tessera.config.base import Reference, references
from tessera.config.kinds import SECTIONS, settings_class
from tessera.config.points import (
    Axis,
    Point,
    Points,
    number,
    point_name,
    point_text,
    short_words,
)
from tessera.config.sweep_points import Raw, own_points, require_few, set_value
from tessera.errors import UserError

Sections = Mapping[str, Mapping[str, Raw]]
Origin = tuple[str, str]
"""Section and name of a variant that has a `sweep` of its own."""

LONGEST = 200
"""Characters of a point's name: file systems take 255 bytes, of which its files' endings are some.
"""

Choice = Mapping[Origin, Raw]
"""Which point of each sweep a variant stands on: the settings that the sweep gives it."""


@dataclass(frozen=True)
class Made:
    """A variant that a sweep makes.

    Attributes:
        choice: the points that it stands on, those of what it names first.
        raw: its settings.
        name: its name; empty until all points of its variant are known.
        label: the name to show for the variant that is swept; likewise.
    """

    choice: Choice
    raw: Raw
    name: str = ""
    label: str = ""


Swept = dict[Origin, list[Made]]
"""Swept variant → the variants that it is made to."""


def expand(
    sections: Sections, off: Mapping[str, list[str]]
) -> tuple[dict[str, dict[str, Any]], Points, dict[str, list[str]]]:
    """Replaces each swept variant, and what names it, by a variant a point.

    Args:
        sections: section → variant → its raw settings, `extends` resolved.
        off: section → names that the config files switch off: variants and single points.

    Returns:
        The sections without sweeps; the points among their variants; and `off` with those variants
        all of whose points are switched off.

    Raises:
        UserError: a sweep is no sweep, has no point, too many of them, or two with one name.
    """
    swept: Swept = {}
    made: dict[str, dict[str, Any]] = {}
    points: dict[str, dict[str, Point]] = {}
    gone = {section: list(names) for section, names in off.items()}
    for section in SECTIONS:  # what a variant names stands in a section before its own
        if section not in sections:
            continue
        variants = made.setdefault(section, {})
        for name, entry in sections[section].items():
            if not isinstance(entry, Mapping):
                variants[name] = entry  # the schema refuses it
                continue
            if not isinstance(name, str):  # likewise
                variants[name] = {key: value for key, value in entry.items() if key != "sweep"}
                continue
            found = _made(section, name, entry, swept)
            if not any(one.choice for one in found):
                variants[name] = found[0].raw
                continue
            kept = [one for one in _named(section, name, found) if one.name not in gone[section]]
            if kept:
                swept[section, name] = kept
            else:
                gone[section].append(name)
            for one in kept:
                if one.name in variants or one.name in sections[section]:
                    raise UserError(
                        f"config: {section}.{name} is swept to a variant called {one.name!r}, "
                        "which is there already: rename one of the two"
                    )
                variants[one.name] = one.raw
                settings = {".".join(axis): value for axis, value in _axes(section, name, one)}
                points.setdefault(section, {})[one.name] = Point(name, settings, one.label)
    return made, points, gone


def _made(section: str, name: str, entry: Raw, swept: Swept) -> list[Made]:
    """The points of a variant, without names; one without a choice where it is not swept."""
    place = f"config: {section}.{name}"
    found: list[Made] = []
    for own in own_points(place, entry.get("sweep")):
        raw = {key: value for key, value in entry.items() if key != "sweep"}
        for path, value in own.items():
            raw = set_value(f"{place}.sweep", raw, path.split("."), value)
        named = references(settings_class(section, raw.get("kind")))
        linked = _linked(place, raw, named, swept)
        if own:
            plain = {k: v if k in named else number(v) for k, v in own.items()}
            linked = [Made({**one.choice, (section, name): plain}, one.raw) for one in linked]
        found += [Made(one.choice, _listed(one, named, swept)) for one in linked]
        require_few(place, len(found))
    return found


def _linked(place: str, raw: Raw, named: Mapping[str, Reference], swept: Swept) -> list[Made]:
    """A variant once for each choice of the points that its references stand for.

    Raises:
        UserError: no points of two swept variants that it names belong together, or too many do.
    """
    found = [Made({}, raw)]
    for field, reference in named.items():
        target = raw.get(field)
        points = swept.get((reference.section, target)) if isinstance(target, str) else None
        if points is None:
            continue
        pairs = itertools.product(found, points)
        found = [
            Made({**one.choice, **point.choice}, {**one.raw, field: point.name})
            for one, point in pairs
            if _agree(one.choice, point.choice)
        ]
        if not found:
            raise UserError(
                f"{place}.{field} names the swept {target!r}, no point of which belongs to a point "
                "of the other variants that it names: name points of one sweep"
            )
        require_few(place, len(found))
    return found


def _listed(one: Made, named: Mapping[str, Reference], swept: Swept) -> dict[str, Any]:
    """A point's settings with its lists of names filled: swept variants stand for their points."""
    raw = dict(one.raw)
    for field, reference in named.items():
        entries = raw.get(field)
        if not isinstance(entries, list | tuple):
            continue
        filled: list[Any] = []
        for entry in entries:
            points = swept.get((reference.section, entry)) if isinstance(entry, str) else None
            if points is None:
                filled.append(entry)
                continue
            belonging = (point.name for point in points if _agree(one.choice, point.choice))
            filled += [name for name in belonging if name not in entries]
        if all(isinstance(entry, str) for entry in filled):  # the schema refuses others
            filled = list(dict.fromkeys(filled))
        raw[field] = filled
    return raw


def _agree(one: Choice, other: Choice) -> bool:
    """Whether two variants stand on the same point of each sweep that both depend on."""
    return all(one[origin] == other[origin] for origin in one if origin in other)


def _axes(section: str, name: str, one: Made) -> Iterator[tuple[Axis, Any]]:
    """The swept settings of a point and their values."""
    for origin, settings in one.choice.items():
        before = () if origin == (section, name) else origin
        for path, value in settings.items():
            yield (*before, *path.split(".")), value


def _named(section: str, name: str, found: list[Made]) -> Iterator[Made]:
    """The points of a variant with their names and labels.

    Raises:
        UserError: two of them have one name, or a name is too long.
    """
    axes = list(dict.fromkeys(axis for one in found for axis, _ in _axes(section, name, one)))
    words = short_words(axes)
    seen = set()
    for one in found:
        values = dict(_axes(section, name, one))
        called = point_name(name, words, values)
        if called in seen:
            raise UserError(
                f"config: two points of the sweep of {section}.{name} are called {called!r}: "
                "give each of them other values"
            )
        if len(called) > LONGEST:
            raise UserError(
                f"config: a point of the sweep of {section}.{name} is called {called[:40]!r}… with "
                f"{len(called)} characters, and {LONGEST} are the most for the name of a folder: "
                "write it as a variant of its own, with a shorter name"
            )
        seen.add(called)
        label = f"{_label(name, one.raw)}, {point_text(words, values)}"
        yield Made(one.choice, {**one.raw, "label": label}, called, _label(name, one.raw))


def _label(name: str, raw: Raw) -> str:
    return str(raw.get("label") or name)
