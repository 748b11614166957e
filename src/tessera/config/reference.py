"""The page of all settings, written from the schema: `make docs` renews docs/settings.md."""

import json
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from tessera.config.base import Settings, references
from tessera.config.schema import STAGE_OF, Config, Execution

HEAD = """# All settings

Written from the schema by `make docs`; do not edit. A setting without a default must be given. A
setting marked *untracked* is text or a matter of hardware; changing it reruns nothing.
*→ section* names a variant of that section.
"""


def settings_page() -> str:
    """The page as Markdown."""
    lines = [HEAD]
    top = {name: f for name, f in Config.model_fields.items() if not _variant_classes(f)}
    lines += ["## Top level\n", *_table_rows(Config, top)]
    seen: set[type[BaseModel]] = set()
    for section, field in Config.model_fields.items():
        for variant in _variant_classes(field):
            kind = _kind(variant)
            stage = STAGE_OF.get(section)
            made = f", made by the stage `{stage}`" if stage and variant is not Execution else ""
            lines.append(f"\n## `{section}`{f': kind `{kind}`' if kind else ''}\n")
            lines.append(f"{_doc(variant)}{made and ' M' + made[3:] + '.'}\n")
            lines += _table_rows(variant, variant.model_fields)
            for name, nested in _nested(variant):
                lines.append(f"\n`{name}`: {_doc(nested)}")
                if nested in seen:
                    lines.append(f"Its settings are those of `{nested.__name__}` above.")
                    continue
                seen.add(nested)
                lines += [f"\n### {nested.__name__}\n", *_table_rows(nested, nested.model_fields)]
    return "\n".join(lines) + "\n"


def _table_rows(model: type[BaseModel], fields: dict[str, FieldInfo]) -> list[str]:
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    named = references(model)
    for name, field in fields.items():
        notes = []
        if name in named:
            notes.append(f"→ `{named[name].section}`")
        extra = field.json_schema_extra
        if isinstance(extra, dict) and extra.get("tracked") is False:
            notes.append("*untracked*")
        if choices := _choices(field.annotation):
            notes.append("one of " + ", ".join(f"`{choice}`" for choice in choices))
        text = "; ".join(filter(None, [field.description, *notes]))
        rows.append(f"| `{name}` | {_default(field)} | {text} |")
    return rows


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return ""
    if isinstance(value, BaseModel):
        return "its own"
    return f"`{json.dumps(value)}`"


def _choices(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _doc(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split())


def _kind(model: type[BaseModel]) -> str:
    field = model.model_fields.get("kind")
    choices = _choices(field.annotation) if field else ()
    return str(choices[0]) if len(choices) == 1 else ""


def _variant_classes(field: FieldInfo) -> list[type[BaseModel]]:
    """The settings classes of a section, of one or of named variants; none for a plain setting."""
    if isinstance(field.annotation, type) and issubclass(field.annotation, Settings):
        return [field.annotation]
    if get_origin(field.annotation) is not dict:
        return []
    value = get_args(field.annotation)[1]
    if get_origin(value) is Annotated:
        value = get_args(value)[0]
    return [c for c in (get_args(value) or (value,)) if issubclass(c, Settings)]


def _nested(model: type[BaseModel]) -> list[tuple[str, type[BaseModel]]]:
    found: list[tuple[str, type[BaseModel]]] = []
    for name, field in model.model_fields.items():
        for choice in (field.annotation, *get_args(field.annotation)):
            if isinstance(choice, type) and issubclass(choice, Settings):
                found.append((name, choice))
                found += [(f"{name}.{inner}", c) for inner, c in _nested(choice)]
    return found


if __name__ == "__main__":
    print(settings_page(), end="")
