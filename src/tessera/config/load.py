"""From YAML files to a validated config, or one sentence that says what is wrong."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tessera.config.checks import check
from tessera.config.schema import STAGE_OF, Config, stages
from tessera.errors import UserError

SECTIONS = ("data", "views", *(section for section in STAGE_OF if section != "data"))

_OF_KINDS = [
    section for section, field in Config.model_fields.items() if "discriminator" in str(field)
]
"""Sections whose variants are of several kinds."""


class _UniqueKeys(yaml.CSafeLoader):
    """A loader that refuses a key given twice: YAML would silently keep the last one."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            if not isinstance(key.value, str):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key is no plain word", key.start_mark
                )
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands here twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path | str) -> dict[str, Any]:
    """Reads one YAML file as a map.

    Raises:
        UserError: the file is absent, no YAML, or no map.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError) as error:
        raise UserError(f"the config file {path} does not exist: check the path") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no UTF-8 text: save it as such") from error
    try:
        value = yaml.load(text, _UniqueKeys)  # a safe loader
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        problem = getattr(error, "problem", None) or "no valid YAML"
        raise UserError(f"{path}{line}: {problem}: mend the file") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} holds no map of settings: begin from config.yaml")
    return value


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


def chain(files: Sequence[Path | str], above: Sequence[Path] = ()) -> list[Path]:
    """The files that make up a config, in the order in which they are laid over each other.

    A file with `base: FILE` (relative to its own folder) is laid over that file and nothing else;
    with `base: null` it stands alone. Without `base` it is laid over the files before it.

    Args:
        files: the files as given, config.yaml first.
        above: the files that led here by their `base`.

    Raises:
        UserError: a file is absent or no map, `base` is no file name, or files are based on each
            other in a circle.
    """
    found: list[Path] = []
    for file in map(Path, files):
        if file.resolve() in above:
            raise UserError(f"{file} is based on itself in a circle: remove one `base`")
        settings = read_yaml(file)
        if "base" in settings:
            base = settings["base"]
            if base is not None and not isinstance(base, str):
                raise UserError(f"{file}: base must be the name of a config file, or null")
            below = [] if base is None else [file.parent / base]
            found = chain(below, [*above, file.resolve()])
        found.append(file)
    return found


def load(files: Sequence[Path | str], overrides: Mapping[str, Any] | None = None) -> Config:
    """Reads, merges and validates config files, the later over the earlier; see `chain`.

    Args:
        files: the files.
        overrides: settings laid over all files, such as those of the command line.

    Raises:
        UserError: what is wrong, where, and what to do.
    """
    raw: dict[str, Any] = {}
    for file in chain(files):
        raw = merge(raw, read_yaml(file))
    raw.pop("base", None)
    return validate(merge(raw, overrides or {}))


def validate(raw: Mapping[str, Any]) -> Config:
    """Turns raw settings into a config whose references all hold.

    Raises:
        UserError: what is wrong, where, and what to do.
    """
    expanded = dict(raw)
    for section in SECTIONS:
        variants = raw.get(section)
        if isinstance(variants, Mapping):
            # A map laid over an earlier file switches a variant off with `name: null`.
            present = {name: entry for name, entry in variants.items() if entry is not None}
            expanded[section] = {name: _extend(section, name, present) for name in present}
    try:
        config = Config.model_validate(expanded)
    except ValidationError as error:
        raise UserError(_sentence(error)) from error
    unknown = set(config.execution) - {*stages(), "default"}
    if unknown:
        name = sorted(unknown)[0]
        raise UserError(f"config: execution.{name} is no stage{_suggest(name, stages())}")
    check(config)
    return config


def _extend(section: str, name: str, variants: Mapping[str, Any]) -> Any:
    """A variant laid over the one that its `extends` names, and so on up."""
    chain, current = [name], variants[name]
    layers = []
    while isinstance(current, Mapping):
        layers.append({key: value for key, value in current.items() if key != "extends"})
        parent = current.get("extends")
        if parent is None:
            break
        if parent in chain:
            raise UserError(
                f"config: {section}.{name} extends itself in a cycle "
                f"({' → '.join([*chain, parent])}): remove one `extends`"
            )
        if parent not in variants:
            raise UserError(
                f"config: {section}.{chain[-1]}.extends names {parent!r}, which is not in "
                f"{section}{_suggest(parent, variants)}"
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


def _suggest(name: object, known: Any) -> str:
    close = difflib.get_close_matches(str(name), [str(k) for k in known], n=1)
    return f": did you mean {close[0]!r}?" if close else f": known are {', '.join(sorted(known))}"


def _sentence(error: ValidationError) -> str:
    """The first problem, as one sentence with its place and its cure."""
    problems = error.errors()
    # An unknown key explains a missing one: say it first.
    first = min(problems, key=lambda problem: problem["type"] != "extra_forbidden")
    where = _place(first["loc"])
    if first["type"] == "extra_forbidden":
        text = f"config: {where} is no known setting{_suggest_setting(first['loc'])}"
    elif first["type"] == "missing":
        text = f"config: {where} is missing: set it"
    elif first["type"] == "string_pattern_mismatch" and first["loc"][-1] == "[key]":
        text = f"config: {where} is no name: use lower-case letters, digits and underscores"
    elif first["type"].startswith("union_tag"):
        text = f"config: {where}: {first['msg']}: set `kind` to one of these"
    else:
        problem = first["msg"].removeprefix("Value error, ")
        value = first["input"]
        shown = "" if isinstance(value, Mapping | list) else f" (it is {value!r}): correct it"
        text = f"config: {where}: {problem[0].lower()}{problem[1:]}{shown}"
    others = len(problems) - 1
    return text + (f" ({others} more problem{'s' * (others > 1)} after this one)" if others else "")


def _place(location: tuple[Any, ...]) -> str:
    """`encoders.dino.training.steps`, without the tag that pydantic adds for a variant's kind."""
    parts = [str(part) for part in location if part != "[key]"]
    if len(parts) > 2 and parts[0] in _OF_KINDS:
        del parts[2]
    return ".".join(parts)


def _suggest_setting(location: tuple[Any, ...]) -> str:
    """The setting that is closest to an unknown one, among those of its place."""
    schema = Config.model_json_schema()
    places = [schema]
    for part in location[:-1]:
        places = [inner for place in places for inner in _below(place, part, schema["$defs"])]
    known = {name for place in places for name in place.get("properties", {})}
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    return f": did you mean {close[0]!r}?" if close else ": remove it"


def _kinds(schema: Mapping[str, Any]) -> Sequence[Any]:
    """The values that a JSON schema allows for `kind`."""
    kinds: Sequence[Any] = schema.get("enum") or [schema.get("const")]
    return kinds


def _below(place: dict[str, Any], part: Any, definitions: dict[str, Any]) -> list[dict[str, Any]]:
    """The parts of a JSON schema to which one step of an error's location may lead."""
    properties = place.get("properties", {})
    if part in properties:
        found = properties[part]
    elif "patternProperties" in place:  # a section: names of one pattern → variants
        found = next(iter(place["patternProperties"].values()))
    elif isinstance(place.get("additionalProperties"), dict):
        found = place["additionalProperties"]
    elif part in _kinds(properties.get("kind", {})):
        found = place  # pydantic names the kind of a variant as a step of its own
    else:
        return []
    choices = found.get("oneOf") or found.get("anyOf") or [found]
    return [definitions[c["$ref"].rpartition("/")[2]] if "$ref" in c else c for c in choices]
