"""What a `sweep` says: the settings of each of its points, and a variant that has them."""

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

from tessera.errors import UserError

LIMIT = 1000
"""Points of one variant: more are a slip of a grid that grows with each axis."""

Raw = Mapping[str, Any]
"""Settings as they stand in a file."""


def own_points(place: str, sweep: Any) -> Iterator[Raw]:
    """What each point of a variant's own sweep sets; one that sets nothing where it has none.

    Raises:
        UserError: it is neither a grid nor a list of points, or without any.
    """
    place += ".sweep"
    if sweep is None:
        yield {}
    elif isinstance(sweep, Mapping):
        # An overlay takes an axis away with null, as it does with variants.
        axes = {path: values for path, values in sweep.items() if values is not None}
        for path, values in axes.items():
            _require_list(f"{place}.{path}", values, "value")
            _require_setting(place, path)
        require_few(place.removesuffix(".sweep"), math.prod(map(len, axes.values())))
        for chosen in itertools.product(*axes.values()):
            yield dict(zip(axes, chosen, strict=True))
    else:
        if not isinstance(sweep, list | tuple):
            raise UserError(
                f"{place} is {sweep!r}, which is no sweep: write a map from settings to lists of "
                "values, or a list of points"
            )
        _require_list(place, sweep, "point")
        for point in sweep:
            if not isinstance(point, Mapping) or not point:
                raise UserError(
                    f"{place} is a list, and {point!r} in it is no point: write each as a map from "
                    "settings to values, such as `{seed: 1}`"
                )
            for path in point:
                _require_setting(place, path)
            yield point


def _require_list(place: str, values: Any, what: str) -> None:
    if not isinstance(values, list | tuple):
        raise UserError(
            f"{place} must be a list of {what}s, got {values!r}: write `[{values}]` for a single "
            f"{what}"
        )
    if not values:
        raise UserError(f"{place} lists no {what}: give one or more, or null for no sweep")


def _require_setting(place: str, path: Any) -> None:
    if path in ("label", "extends", "sweep"):
        raise UserError(f"{place} names {path!r}, which makes no other result: remove it there")


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
