"""Pieces of parts: what one task of dask reads, a chunk at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from tessera.errors import UserError
from tessera.io.parts import open_part

SPAN_BYTES = 16 * 2**20
"""A span's size: few enough tasks that opening the file counts for nothing, and small beside the
memory of any worker."""


@dataclass(frozen=True)
class Span:
    """Rows of one part.

    A span is opened where it is read: only its path goes to the worker.

    Attributes:
        path: the part's file, absolute: a worker has another working folder.
        start: the first row.
        stop: the row after the last one.
        step: rows of a chunk.
    """

    path: str
    start: int
    stop: int
    step: int

    def blocks(self, name: str, *others: str) -> Iterator[tuple[np.ndarray, ...]]:
        """The rows, a chunk of the first array at a time.

        Args:
            name: the array whose chunks are read.
            others: small arrays (a number a row) beside it; read whole, as their chunks are longer.
        """
        with open_part(self.path) as group:
            array = array_of(group, name, self.path)
            rows = slice(self.start, self.stop)
            beside = [np.asarray(array_of(group, other, self.path)[rows]) for other in others]
            for start in range(self.start, self.stop, self.step):
                stop = min(start + self.step, self.stop)
                rows = slice(start - self.start, stop - self.start)
                yield np.asarray(array[start:stop]), *(small[rows] for small in beside)


def spans(parts: Sequence[Path], name: str, size: int = SPAN_BYTES) -> list[Span]:
    """Cuts parts into spans of whole chunks; an empty part gives none.

    Args:
        parts: the files.
        name: the array by whose chunks is cut.
        size: bytes of that array in a span, about.

    Raises:
        UserError: a part is absent or damaged, or has no such array.
    """
    found = []
    for part in parts:
        with open_part(part) as group:
            array = array_of(group, name, part)
            rows, step = array.shape[0], array.chunks[0]
            chunk_bytes = step * prod(array.shape[1:]) * array.dtype.itemsize
        length = step * max(1, size // max(1, chunk_bytes))
        path = str(Path(part).resolve())
        found += [
            Span(path, start, min(start + length, rows), step) for start in range(0, rows, length)
        ]
    return found


def array_of(group: zarr.Group, name: str, part: Path | str) -> zarr.Array[Any]:
    """An array of a part.

    Raises:
        UserError: there is none of this name.
    """
    array = group.get(name)
    if not isinstance(array, zarr.Array):
        raise UserError(f"{part} holds no array {name!r}: delete it and run again")
    return array
