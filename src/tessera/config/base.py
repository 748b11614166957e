"""What all sections of the config share: strict settings, references, untracked fields."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

NAME = r"^[a-z0-9][a-z0-9_]*$"
"""A variant's name is a folder and a wildcard: lower-case letters, digits and underscores."""


@dataclass(frozen=True)
class Reference:
    """Marks a field that names a variant of `section` (or a list of such names).

    Attributes:
        section: the section of the config that holds the variant.
        each: the field is a list and each entry makes a job of its own, so the list itself is no
            part of any job's settings: adding an entry reruns nothing old.
    """

    section: str
    each: bool = False


def untracked(default: Any, description: str, **options: Any) -> Any:
    """A field that never changes numbers (labels, hardware knobs) and so never reruns a stage."""
    return Field(
        default=default, description=description, json_schema_extra={"tracked": False}, **options
    )


def added(default: Any, description: str, **options: Any) -> Any:
    """A tracked field that is younger than the results of its section.

    It is in a node only where it is set. Variants without it so keep the nodes that they had before
    the field was there, and none of them runs again.
    """
    return Field(
        default=default, description=description, json_schema_extra={"added": True}, **options
    )


Name = Annotated[str, Field(pattern=NAME)]


class Settings(BaseModel):
    """Settings that refuse what they do not know.

    Numbers may arrive as strings: YAML reads 1e-4 as one, and so does the command line.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True
    )

    @model_validator(mode="before")
    @classmethod
    def _no_bool_for_a_number(cls, values: Any) -> Any:
        # pydantic would read `steps: true` as 1.
        if isinstance(values, dict):
            for name, value in values.items():
                field = cls.model_fields.get(name)
                if field is not None and isinstance(value, bool):
                    kinds = get_args(field.annotation) or (field.annotation,)
                    if bool not in kinds and (int in kinds or float in kinds):
                        raise ValueError(f"{name} must be a number, got {str(value).lower()}")
        return values


class Variant(Settings):
    """A named entry of a section."""

    label: str = untracked("", "the name shown in tables and figures; changes nothing else")


class Published(Variant):
    """A variant whose weights somebody else trained, in a folder that `tessera import` wrote."""

    kind: Literal["published"]
    path: str = untracked(
        ..., "folder that `tessera import` wrote; what it holds counts, not where it lies"
    )


def digest_field() -> Any:
    """The field beside a path of published weights that says which they must be.

    It is untracked: what the file holds counts, and is in the node whether it was said or not.
    """
    return untracked(
        None,
        "SHA-256 of that file, or its first digits (8 or more), checked when the workflow is "
        "launched; null: whatever it holds then",
        pattern=r"^[0-9a-f]{8,64}$",
    )


def default_kind(kind: str) -> BeforeValidator:
    """For a union of variants told apart by `kind`: the one that is meant where none is given."""

    def fill(values: Any) -> Any:
        if isinstance(values, Mapping) and "kind" not in values:
            return {"kind": kind, **values}
        return values

    return BeforeValidator(fill)


@cache
def references(settings: type[BaseModel]) -> dict[str, Reference]:
    """The fields of a settings class that name other variants."""
    found = {}
    for name, field in settings.model_fields.items():
        for mark in field.metadata:
            if isinstance(mark, Reference):
                found[name] = mark
    return found


@cache
def tracked_fields(settings: type[BaseModel]) -> list[str]:
    """The fields that make a result: neither references nor marked as untracked."""
    names = []
    for name, field in settings.model_fields.items():
        extra = field.json_schema_extra
        if isinstance(extra, dict) and extra.get("tracked") is False:
            continue
        if name not in references(settings):
            names.append(name)
    return names


def tracked_values(variant: BaseModel) -> dict[str, Any]:
    """The settings of a variant that are in its node, as JSON values.

    A nested class is there with all its fields: `added` is for the fields of a variant itself.
    """
    dumped = variant.model_dump(mode="json")
    return {
        name: dumped[name]
        for name in tracked_fields(type(variant))
        if not _is_added_and_unset(variant, name)
    }


def _is_added_and_unset(variant: BaseModel, name: str) -> bool:
    field = type(variant).model_fields[name]
    extra = field.json_schema_extra
    younger = isinstance(extra, dict) and extra.get("added") is True
    return younger and getattr(variant, name) == field.default


def require_heads(width: int, heads: int) -> None:
    """Raises ValueError unless the heads divide the width."""
    if width % heads:
        raise ValueError(f"width ({width}) must be a multiple of heads ({heads}): change one")


def require_warmup(warmup: int, steps: int) -> None:
    """Raises ValueError unless the warm-up ends before the training."""
    if warmup >= steps:
        raise ValueError(f"warmup ({warmup}) must be below steps ({steps}): change one")


def require_one_tokenizer(codebook: str | None, autoencoder: str | None) -> None:
    """Raises ValueError unless exactly one tokenizer is named."""
    if (codebook is None) == (autoencoder is None):
        raise ValueError("name one tokenizer: either codebook or autoencoder")
