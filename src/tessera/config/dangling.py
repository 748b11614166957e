"""References that name nothing, and what a variant that is switched off takes with it."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from tessera.config.base import Reference, Variant, references
from tessera.config.kinds import SECTIONS
from tessera.config.points import points_of
from tessera.config.schema import Config
from tessera.config.sentences import nearest
from tessera.errors import UserError

Place = tuple[str, str]
"""Section and name of a variant."""


def require_targets(config: Config, off: Mapping[str, Collection[str]]) -> None:
    """Checks that all references name variants that are there.

    Args:
        config: the config, whose single variants are valid.
        off: section → variants that the config files switch off.

    Raises:
        UserError: the first reference that names nothing; where it names what is switched off,
            with the settings that switch off all that needs it.
    """
    for section, name, field, reference, target in _references(config):
        known = getattr(config, reference.section)
        if target in known:
            continue
        where = f"config: {section}.{name}.{field} names {target!r}, which is"
        if target in off.get(reference.section, ()):
            overlay = fallout(config, off)
            raise UserError(
                f"{where} switched off in {reference.section}: name another, or switch off what "
                f"needs it too, with {', '.join(f'`{s}: {_flow(overlay[s])}`' for s in overlay)}"
            )
        close = nearest(target, known)
        cure = f"did you mean {close!r}?" if close else f"choose one of {sorted(known)}"
        raise UserError(
            f"{where} not in {reference.section}: {cure if close else f'add it there, or {cure}'}"
        )


def fallout(config: Config, off: Mapping[str, Collection[str]]) -> dict[str, dict[str, Any]]:
    """The overlay that switches off, or takes out of lists, all that needs what is switched off.

    Args:
        config: a config, some of whose references may name nothing.
        off: section → variants that are switched off.

    Returns:
        section → name → None, or the lists of that variant without what is gone. Where this befalls
        all points of a sweep, their base stands for them. And `paper: {ablation: None}` where a
        step of the ablation would be left without its numbers.
    """
    gone: set[Place] = {(section, name) for section, names in off.items() for name in names}
    found: dict[str, dict[str, Any]] = {}
    before = -1
    while len(gone) > before:  # what falls may be needed by others
        before = len(gone)
        found = {}
        for section in SECTIONS:
            for name, variant in getattr(config, section).items():
                left = _left(variant, gone)
                if left is None:
                    gone.add((section, name))
                if left is None or left:
                    found.setdefault(section, {})[name] = left
    written = {section: _as_written(config, section, found[section]) for section in found}
    return written | ({"paper": {"ablation": None}} if _ablation_falls(config, gone) else {})


def _ablation_falls(config: Config, gone: Collection[Place]) -> bool:
    """Whether an evaluation of the ablation, as far as any is left, lacks one of its steps."""
    wanted = config.paper.ablation

    def left(section: str, name: str) -> set[str]:
        members = {name, *points_of(config.points, section, name)} & {*getattr(config, section)}
        return {member for member in members if (section, member) not in gone}

    if wanted is None:
        return False
    evaluations = left("evaluations", wanted.evaluation)
    return not evaluations or any(
        left("samplings", row.sampling).isdisjoint(config.evaluations[name].samplings)
        for name in evaluations
        for row in wanted.rows
    )


def _as_written(config: Config, section: str, overlay: dict[str, Any]) -> dict[str, Any]:
    """An overlay of a section, with swept variants for all of their points."""
    made: dict[str, Variant] = getattr(config, section)
    written: dict[str, Any] = {}
    for name, left in overlay.items():
        lists = left and {
            field: _folded(config, references(type(made[name]))[field].section, entries)
            for field, entries in left.items()
        }
        point = config.points.get(section, {}).get(name)
        alike = point and all(
            other in overlay and overlay[other] == left
            for other in points_of(config.points, section, point.base)
        )
        written[point.base if point and alike else name] = lists
    return written


def _folded(config: Config, section: str, names: list[str]) -> list[str]:
    """A list of names, with a swept variant in place of all of its points."""
    found = []
    for name in names:
        point = config.points.get(section, {}).get(name)
        whole = point and set(points_of(config.points, section, point.base)) <= set(names)
        found.append(point.base if point and whole else name)
    return list(dict.fromkeys(found))


def _left(variant: Variant, gone: Collection[Place]) -> dict[str, list[str]] | None:
    """The lists of a variant that lose entries, without them; None where it cannot stay."""
    lists = {}
    for field, reference in references(type(variant)).items():
        value = getattr(variant, field)
        if not isinstance(value, tuple):
            if (reference.section, value) in gone:
                return None
            continue
        kept = [target for target in value if (reference.section, target) not in gone]
        if len(kept) < len(value):
            marks = type(variant).model_fields[field].metadata
            least = max([int(reference.each), *(getattr(m, "min_length", 0) for m in marks)])
            if len(kept) < least:
                return None
            lists[field] = kept
    return lists


def _flow(value: Any) -> str:
    """A part of a config on one line of YAML."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_flow(entry)}' for key, entry in value.items())}}}"
    return "null" if value is None else f"[{', '.join(value)}]"


def _references(config: Config) -> Iterator[tuple[str, str, str, Reference, str]]:
    for section in SECTIONS:
        variants: dict[str, Variant] = getattr(config, section)
        for name, variant in variants.items():
            for field, reference in references(type(variant)).items():
                value: Any = getattr(variant, field)
                targets = value if isinstance(value, tuple) else (value,)
                for target in targets:
                    if target is not None:
                        yield section, name, field, reference, target
