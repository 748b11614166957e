"""The kinds of a section's variants, and the settings class that each belongs to."""

from collections.abc import Mapping
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel

from tessera.config.schema import STAGE_OF, Config

SECTIONS = ("data", "views", *(section for section in STAGE_OF if section != "data"))
"""All sections of named variants, in the order in which the data goes."""


@cache
def classes(section: str) -> dict[str, type[BaseModel]]:
    """Kind → settings class; empty for a section whose variants are all of one kind."""
    found = {}
    for settings in _settings(Config.model_fields[section].annotation):
        kind = settings.model_fields.get("kind")
        for value in get_args(kind.annotation) if kind else ():
            found[value] = settings
    return found


@cache
def default_kind(section: str) -> str | None:
    """The kind of a variant that says none; None where it must be said."""
    for settings in classes(section).values():
        field = settings.model_fields["kind"]
        if not field.is_required():
            return str(field.default)
    return None


def kind_of(section: str, name: str, variants: Mapping[str, Any]) -> str | None:
    """The kind of a raw variant: its own, that of what it extends, or the default.

    Args:
        section: the section.
        name: the variant's name.
        variants: the section as plain maps.

    Returns:
        The kind as it is written, known or not; None where none is said and none is the default.
    """
    seen: set[str] = set()
    entry = variants.get(name)
    while isinstance(entry, Mapping) and name not in seen:
        if "kind" in entry:
            return str(entry["kind"])
        seen.add(name)
        name = str(entry.get("extends"))
        entry = variants.get(name)
    return default_kind(section)


def settings_class(section: str, kind: Any = None) -> type[BaseModel]:
    """The settings class of a section's variants of a kind.

    Args:
        section: the section.
        kind: the kind, as it is written; None for that of a variant that says none.

    Returns:
        The class; for a kind that the section has not, any of its classes.
    """
    known = classes(section)
    some = _settings(Config.model_fields[section].annotation)[0]
    return known.get(str(kind or default_kind(section)), some)


def _settings(annotation: Any) -> list[type[BaseModel]]:
    """The settings classes within a type, such as `dict[Name, Annotated[A | B, …]]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in _settings(part)]
