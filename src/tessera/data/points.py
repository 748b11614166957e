"""Feature points for K-Means: all of them or a seeded sample, gathered by dask.

Which points are in a sample, and their order, follows from their places and the seed alone: not
from parts, chunks, or who reads them.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import dask
import numpy as np
from numpy.typing import DTypeLike, NDArray

from tessera.data.computing import compute_each, fold
from tessera.data.spans import Span, spans
from tessera.errors import UserError

Places = NDArray[np.int64]

STEP = 0x9E3779B97F4A7C15
"""SplitMix64's increment: 2^64 over the golden ratio, odd."""


def place_keys(places: Places, seed: int) -> NDArray[np.uint64]:
    """A pseudo-random number for each place; different places have different ones.

    SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014) as a
    function of its counter, begun where the seed's own number is.

    Args:
        places: int64 [N], not negative.
        seed: not negative.
    """
    start = _mix(np.array([seed], np.uint64) * np.uint64(STEP))
    return _mix(start + places.astype(np.uint64) * np.uint64(STEP))


def _mix(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finaliser, a bijection of the 64-bit numbers."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def choose_places(parts: Sequence[Path], count: int | None, seed: int) -> Places:
    """The places of a sample: those with the smallest keys.

    Args:
        parts: files with an array `place`.
        count: places to choose; None, or more than there are, chooses all.
        seed: chooses the sample.

    Returns:
        int64 [at most count], ascending.

    Raises:
        UserError: a place comes twice, so a part was given twice.
    """
    read = dask.delayed(_read_places, pure=False)
    tasks = [read(span, count, seed) for span in spans(parts, "place")]
    if not tasks:
        return np.zeros(0, np.int64)
    (chosen,) = dask.compute(fold(tasks, partial(_join_places, count=count, seed=seed)))
    places: Places = np.sort(chosen)
    if (np.diff(places) == 0).any():
        raise UserError(
            "the parts of the features hold some points twice: give each part of one split once"
        )
    return places


def _read_places(span: Span, count: int | None, seed: int) -> Places:
    return _lowest(np.concatenate([places for (places,) in span.blocks("place")]), count, seed)


def _join_places(some: Places, others: Places, count: int | None, seed: int) -> Places:
    return _lowest(np.concatenate([some, others]), count, seed)


def _lowest(places: Places, count: int | None, seed: int) -> Places:
    """The `count` places with the smallest keys, in no order."""
    if count is None or len(places) <= count:
        return places
    return places[np.argpartition(place_keys(places, seed), count - 1)[:count]]


def read_points(
    parts: Sequence[Path],
    places: Places,
    seed: int,
    width: int,
    at_once: int,
    dtype: DTypeLike = np.float32,
) -> NDArray[np.floating]:
    """The points of a sample, in the order of their places.

    Holds the result and what `at_once` tasks have read.

    Args:
        parts: files with arrays `features` [N, width] and `place` [N].
        places: what `choose_places` gave for these parts and this seed.
        seed: the sample's seed.
        width: channels of a point.
        at_once: tasks that run at once.
        dtype: of the result.

    Returns:
        [len(places), width].
    """
    points = np.empty((len(places), width), dtype)
    if not len(places):
        return points
    # The sample is all that has a key up to this one: one number tells a task what to keep.
    limit = place_keys(places, seed).max()
    read = dask.delayed(_read_chosen, pure=False)
    tasks = [read(span, seed, limit) for span in spans(parts, "features")]
    for blocks in compute_each(tasks, at_once):
        for found, features in blocks:
            points[_rows(places, found)] = features
    return points


def _read_chosen(
    span: Span, seed: int, limit: np.uint64
) -> list[tuple[Places, NDArray[np.floating]]]:
    """The points of a span whose keys reach up to `limit`, with their places, by chunks."""
    kept = []
    for features, places in span.blocks("features", "place"):
        chosen = place_keys(places, seed) <= limit
        # Mostly all are: then they are not copied.
        kept.append((places, features) if chosen.all() else (places[chosen], features[chosen]))
    return kept


def _rows(places: Places, found: Places) -> slice | NDArray[np.intp]:
    """Where in `places` these are; as a slice where they follow each other, which copies faster."""
    rows = np.searchsorted(places, found)
    if len(rows) and (np.diff(rows) == 1).all():
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows
