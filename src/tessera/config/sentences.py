"""What pydantic found wrong with a config, as one sentence with its place and its cure."""

import datetime
import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tessera.config.base import NAME
from tessera.config.kinds import classes
from tessera.config.points import Points
from tessera.config.schema import Config


def nearest(name: object, known: Iterable[object]) -> str | None:
    """The known name that a misspelt one is closest to; None where none is close."""
    close = difflib.get_close_matches(str(name), [str(k) for k in known], n=1)
    return close[0] if close else None


def suggest(name: object, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the one that was meant, or all there are."""
    names = sorted(known)
    close = nearest(name, names)
    return f": did you mean {close!r}?" if close else f": known are {', '.join(names)}"


def listed(words: Sequence[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def sentence(error: ValidationError, points: Points | None = None) -> str:
    """The first problem, as one sentence with its place and its cure.

    Args:
        error: what pydantic found.
        points: the variants that sweeps made.
    """
    problems = error.errors()
    # An unknown key explains a missing one: say it first.
    first = min(problems, key=lambda problem: problem["type"] != "extra_forbidden")
    others = len(problems) - 1
    more = f" ({others} more problem{'s' * (others > 1)} after this one)" if others else ""
    return f"config: {_problem(first)}{_sweep_of(first, points or {})}{more}"


def _sweep_of(problem: ErrorDetails, points: Points) -> str:
    """Where to look for a problem of a variant that no file holds: at what it is a point of."""
    section, name = [*map(str, problem["loc"]), "", ""][:2]
    point = points.get(section, {}).get(name)
    return f" ({name} is a point of the swept {section}.{point.base})" if point else ""


def _problem(problem: ErrorDetails) -> str:
    location, kind, value = problem["loc"], problem["type"], problem["input"]
    where = _place(location)
    if kind == "extra_forbidden":
        return f"{where} is no known setting{_suggest_setting(location)}"
    if kind == "missing":
        return f"{where} is missing: set it"
    if kind == "string_pattern_mismatch" and problem["ctx"]["pattern"] == NAME:
        shown = "" if location[-1] == "[key]" else f" ({value})"
        return f"{where}{shown} is no name: use lower-case letters, digits and underscores"
    if kind.startswith("union_tag"):
        known = list(classes(str(location[0])))
        if kind == "union_tag_not_found":
            return f"{where}.kind is missing: set it to {listed(known)}"
        close = nearest(value["kind"], known)
        cure = f"did you mean {close!r}?" if close else f"set it to {listed(known)}"
        return f"{where}.kind is {value['kind']!r}, which is not {listed(known)}: {cure}"
    if kind == "string_type" and isinstance(value, bool | int | float | datetime.date):
        what = "a date" if isinstance(value, datetime.date) else "a number"
        what = "yes or no" if isinstance(value, bool) else what
        return f"{where} must be text, but YAML reads it as {what} ({value}): quote it"
    said = problem["msg"].removeprefix("Value error, ")
    shown = "" if isinstance(value, Mapping | list) else f" (it is {value!r}): correct it"
    return f"{where}: {said[0].lower()}{said[1:]}{shown}"


def _place(location: tuple[int | str, ...]) -> str:
    """`encoders.dino.training.steps`, without the tag that pydantic adds for a variant's kind."""
    parts = [str(part) for part in location if part != "[key]"]
    if len(parts) > 2 and parts[0] in Config.model_fields and parts[2] in classes(parts[0]):
        del parts[2]
    return ".".join(parts)


def _suggest_setting(location: tuple[int | str, ...]) -> str:
    """The setting that is closest to an unknown one, among those of its place."""
    schema = Config.model_json_schema()
    places = [schema]
    for part in location[:-1]:
        places = [inner for place in places for inner in _below(place, part, schema["$defs"])]
    known = {name for place in places for name in place.get("properties", {})}
    close = nearest(location[-1], known)
    return f": did you mean {close!r}?" if close else ": remove it"


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
