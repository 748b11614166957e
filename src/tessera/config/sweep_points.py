"""What a `sweep` says: the settings of each of its points, and a variant that has them."""

import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any

from tessera.config.points import number
from tessera.errors import UserError

LIMIT = 1000
"""Points of one variant: more are a slip of a grid that grows with each axis."""

Raw = Mapping[str, Any]
"""Settings as they stand in a file."""


def own_points(place: str, sweep: Any) -> list[Raw]:
    """What each point of a variant's own sweep sets; one that sets nothing where it has none.

    The settings of a point are in the order of their paths, however the file orders them: its name
    follows them.

    Raises:
        UserError: it is neither a grid nor a list of points, or without any; it sweeps what it may
            not, or a setting along with a part of it; or two points set the same.
    """
    place += ".sweep"
    if sweep is None:
        return [{}]
    points = _grid(place, sweep) if isinstance(sweep, Mapping) else _list(place, sweep)
    _require_apart(place, {path for point in points for path in point})
    seen: list[Raw] = []
    for point in points:
        read = {path: number(value) for path, value in point.items()}
        if read in seen:
            said = ", ".join(f"{path}: {value}" for path, value in point.items())
            raise UserError(f"{place} has two points that set the same ({said}): remove one")
        seen.append(read)
    return points


def _grid(place: str, sweep: Mapping[Any, Any]) -> list[Raw]:
    """The points of a full grid, of which the last axis by path turns fastest."""
    for path in sweep:
        _require_setting(place, path)
    # An overlay takes an axis away with null, as it does with variants.
    axes = {path: sweep[path] for path in sorted(sweep) if sweep[path] is not None}
    for path, values in axes.items():
        for value in values if isinstance(values, list | tuple) else [values]:
            _require_no_map(place, path, value)
        _require_list(f"{place}.{path}", values, "value")
    require_few(place.removesuffix(".sweep"), math.prod(map(len, axes.values())))
    grid = itertools.product(*axes.values())
    return [dict(zip(axes, chosen, strict=True)) for chosen in grid]


def _list(place: str, sweep: Any) -> list[Raw]:
    """The points that a list gives one by one."""
    if not isinstance(sweep, list | tuple):
        raise UserError(
            f"{place} is {sweep!r}, which is no sweep: write a map from settings to lists of "
            "values, or a list of points"
        )
    _require_list(place, sweep, "point")
    require_few(place.removesuffix(".sweep"), len(sweep))
    points: list[Raw] = []
    for point in sweep:
        if not isinstance(point, Mapping) or not point:
            raise UserError(
                f"{place} is a list, and {point!r} in it is no point: write each as a map from "
                "settings to values, such as `{seed: 1}`"
            )
        for path, value in point.items():
            _require_setting(place, path)
            _require_no_map(place, path, value)
        points.append({path: point[path] for path in sorted(point)})
    return points


def _require_list(place: str, values: Any, what: str) -> None:
    if not isinstance(values, list | tuple):
        raise UserError(
            f"{place} must be a list of {what}s, got {values!r}: write `[{values}]` for a single "
            f"{what}"
        )
    if not values:
        raise UserError(f"{place} lists no {what}: give one or more, or null for no sweep")


def _require_setting(place: str, path: Any) -> None:
    if not isinstance(path, str):
        written = "null" if path is None else str(path).lower()
        raise UserError(
            f"{place} has the key {written}, which YAML does not read as text: name a setting "
            "there, such as `seed`"
        )
    if path.split(".")[0] in ("label", "extends", "sweep"):
        raise UserError(f"{place} names {path!r}, which makes no other result: remove it there")


def _require_no_map(place: str, path: str, value: Any) -> None:
    if isinstance(value, Mapping):
        below = next(iter(value), "SETTING")
        raise UserError(
            f"{place}.{path} is given a map of settings, which would take the place of all that "
            f"stands there: name each setting by its dotted path, such as `{path}.{below}`"
        )


def _require_apart(place: str, paths: Iterable[str]) -> None:
    """Raises where one path leads to a part of what another one sets."""
    for one, other in itertools.permutations(sorted(paths), 2):
        if other.startswith(f"{one}."):
            raise UserError(
                f"{place} sweeps {one!r} and {other!r}, which is a part of it: sweep one of the two"
            )


def require_few(place: str, count: int) -> None:
    """Raises UserError where a variant has more points than it may."""
    if count > LIMIT:
        raise UserError(
            f"{place} is swept to {count:,} points or more, and {LIMIT:,} are the most: shorten "
            "its lists, or give the points that you want as a list of maps"
        )


def set_value(place: str, raw: Raw, path: list[str], value: Any) -> dict[str, Any]:
    """Raw settings with one of them, given by its path, set anew."""
    first, *further = path
    if not further:
        return {**raw, first: value}
    below = raw.get(first)
    if below is not None and not isinstance(below, Mapping):
        raise UserError(
            f"{place} names {'.'.join(path)!r}, but {first} is {below!r} and holds no settings: "
            "correct the path"
        )
    return {**raw, first: set_value(place, below or {}, further, value)}
