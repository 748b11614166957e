"""What differs between a card's node and the node of the config, in the words of the config."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from tessera.config.base import Variant, references
from tessera.config.canonical import canonical_json
from tessera.config.jobs import Planned
from tessera.config.resolve import node
from tessera.config.schema import Config

Named = tuple[str, str]
"""Section and name of a variant."""


class Changes:
    """Finds what changed between what a result was made of and what it is to be made of.

    Args:
        config: the validated config.
        settled: variants whose results are those of the config. Where a result was made of other
            settings than such a variant's, it was made of another variant.
    """

    def __init__(self, config: Config, settled: Collection[Named] = ()) -> None:
        self._config, self._settled = config, settled

    def of(self, job: Planned, old: Mapping[str, Any]) -> list[str]:
        """The changes since a card was written, such as "codebooks.k8.clusters: 8 → 16".

        Equal changes have equal texts in all jobs that they concern.

        Args:
            job: the job.
            old: the node in its card.
        """
        return list(dict.fromkeys(self._node((job.section, job.name), job.each, old, job.node)))

    def _node(
        self, variant: Named, each: str | None, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Iterator[str]:
        label = ".".join(variant)
        if not {"settings", "inputs"} <= old.keys():
            yield f"{label}: its card does not say what it was made of"
            return
        kinds = [side["settings"].get("kind") for side in (old, new)]
        if kinds[0] != kinds[1]:  # all else differs for that reason
            yield f"{label}.kind: {_shown(kinds[0])} → {_shown(kinds[1])}"
            return
        if old.get("version") != new.get("version"):
            yield (
                f"the code of the stage {new['stage']}: "
                f"version {old.get('version')} → {new['version']}"
            )
        yield from _values(label, old["settings"], new["settings"])
        for field in dict.fromkeys([*new["inputs"], *old["inputs"]]):
            pair = [side["inputs"].get(field) for side in (old, new)]
            if canonical_json(pair[0]) != canonical_json(pair[1]):
                yield from self._input(variant, field, each, *pair)

    def _input(
        self, variant: Named, field: str, each: str | None, old: Any, new: Any
    ) -> Iterator[str]:
        """The changes of one entry of a node's `inputs`."""
        label = ".".join(variant)
        if field == "files":
            yield f"{label}: the files that it names were replaced"
            return
        if field == variant[0]:  # the node of an export wraps that of its variant
            yield from self._node(variant, each, old, new)
            return
        made: Variant = getattr(self._config, variant[0])[variant[1]]
        reference, value = references(type(made))[field], getattr(made, field)
        if isinstance(value, tuple) and not reference.each:
            for name in dict.fromkeys([*(new or {}), *(old or {})]):
                if name not in (old or {}):
                    yield f"{label}.{field}: {name} is new"
                elif name not in (new or {}):
                    yield f"{label}.{field}: {name} is gone"
                else:
                    place = f"{label}.{field}"
                    yield from self._referred(
                        place, (reference.section, name), old[name], new[name]
                    )
        elif new is None or old is None:
            yield f"{label}.{field}: {'no longer set' if new is None else f'set to {value}'}"
        else:
            name = each if reference.each and each is not None else value
            yield from self._referred(f"{label}.{field}", (reference.section, name), old, new)

    def _referred(
        self, place: str, variant: Named, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Iterator[str]:
        """The changes of a variant that another one refers to, or of the reference."""
        if canonical_json(old) == canonical_json(new):
            return
        section, name = variant
        for other in getattr(self._config, section):
            if other != name and _same_result(node(self._config, section, other), old):
                yield f"{place}: {other} → {name}"
                return
        found = list(self._node(variant, None, old, new))
        if variant in self._settled:
            yield f"{place}: {name} in place of another ({'; '.join(found)})"
        else:
            yield from found


def _same_result(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return canonical_json(one) == canonical_json(other)


def _values(place: str, old: Any, new: Any) -> Iterator[str]:
    """The settings that differ, however deep."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*new, *old]):
            yield from _values(f"{place}.{key}", old.get(key), new.get(key))
    elif canonical_json(old) != canonical_json(new):
        yield f"{place}: {_shown(old)} → {_shown(new)}"


def _shown(value: Any) -> str:
    """A value as YAML would write it on one line."""
    return value if isinstance(value, str) else "null" if value is None else canonical_json(value)
