"""Config files laid over each other, and variants that extend others.

Maps merge and all else replaces, as where Snakemake lays config files, with one exception: the
settings of one kind of variant mean nothing to another. So a variant whose `kind` belongs to
another settings class replaces the one below it, and one that is switched off (`name: null`)
is gone. What extends either of them in the files below keeps the settings that it had.
"""

from collections.abc import Mapping
from typing import Any

from tessera.config.kinds import SECTIONS, classes, kind_of
from tessera.config.sentences import suggest
from tessera.errors import UserError


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid upon `base` as Snakemake lays config files: maps merge, all else replaces.

    To the last detail: an empty map replaces nothing, not even what is no map.
    """
    merged = dict(base)
    for key, value in over.items():
        if isinstance(value, Mapping):
            old = merged.get(key, {})
            if isinstance(old, Mapping) or value:
                merged[key] = merge(old if isinstance(old, Mapping) else {}, value)
        else:
            merged[key] = value
    return merged


def lay(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """One config file laid over those below it.

    Args:
        base: raw settings of the files below.
        over: raw settings of the file, without its `base`.

    Raises:
        UserError: a variant below extends what is not there.
    """
    merged = merge(base, over)
    for section in SECTIONS:
        below, above = base.get(section), over.get(section)
        if isinstance(below, Mapping) and isinstance(above, Mapping):
            merged[section] = _lay_section(section, below, above)
    return merged


def _lay_section(
    section: str, below: Mapping[str, Any], above: Mapping[str, Any]
) -> dict[str, Any]:
    replaced = [name for name in above if _becomes_another(section, name, below, above)]
    gone = [*replaced, *(name for name in above if above[name] is None)]
    kept = {}
    for name, entry in below.items():
        own_parent = isinstance(above.get(name), Mapping) and "extends" in above[name]
        # Of its direct parent alone: an heir of one that stays follows what that is changed to.
        orphan = isinstance(entry, Mapping) and entry.get("extends") in gone
        cut = orphan and not own_parent and name not in gone
        kept[name] = extend(section, name, below) if cut else entry
    return merge(kept | {name: {} for name in replaced}, above)  # in the order of the files below


def _becomes_another(
    section: str, name: str, below: Mapping[str, Any], above: Mapping[str, Any]
) -> bool:
    """Whether a variant is given a kind of another settings class than it has below."""
    if not isinstance(below.get(name), Mapping) or not _tells_kind(above[name]):
        return False
    # A parent that says nothing of its kind either has that of the one below it.
    telling = {n: e for n, e in above.items() if n not in below or _tells_kind(e)}
    old = classes(section).get(kind_of(section, name, below) or "")
    new = classes(section).get(kind_of(section, name, {**below, **telling}) or "")
    return old is not None and new is not None and old is not new


def _tells_kind(entry: Any) -> bool:
    return isinstance(entry, Mapping) and ("kind" in entry or "extends" in entry)


def extend(section: str, name: str, variants: Mapping[str, Any]) -> Any:
    """A variant laid over the one that its `extends` names, and so on up.

    Args:
        section: the section, for messages.
        name: the variant.
        variants: the raw section; None is a variant that is switched off.

    Raises:
        UserError: it extends itself, what is not there, or what is switched off.
    """
    chain, current = [name], variants[name]
    layers = []
    while isinstance(current, Mapping):
        layers.append({key: value for key, value in current.items() if key != "extends"})
        parent = current.get("extends")
        if parent is None:
            break
        if not isinstance(parent, str):
            raise UserError(f"config: {section}.{chain[-1]}.extends must name one variant")
        if parent in chain:
            raise UserError(
                f"config: {section}.{name} extends itself in a cycle "
                f"({' → '.join([*chain, parent])}): remove one `extends`"
            )
        if variants.get(parent) is None:
            raise UserError(
                f"config: {section}.{chain[-1]}.extends names {parent!r}, "
                + (
                    f"which is switched off (null): switch {chain[-1]} off too, or give it "
                    "settings of its own"
                    if parent in variants
                    else f"which is not in {section}{suggest(parent, variants)}"
                )
            )
        chain.append(parent)
        current = variants[parent]
    else:
        return current
    merged: dict[str, Any] = {}
    for layer in reversed(layers):
        merged = merge(merged, layer)
    if len(layers) > 1 and "label" not in layers[0]:
        merged.pop("label", None)  # a label names one variant; its heirs have their own names
    return merged
