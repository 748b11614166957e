"""Images beside others: reconstructions below originals, training images beside samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tessera.report.pictures.grids import GAP, Pixels, check, enlarged, grid, name_rows
from tessera.report.pictures.lettering import words

SIDE = 96
"""Least side of the images that have words below them, pixels."""

TYPE = 0.15
"""Size of that type, as a share of an image's height: 6 points where two blocks of six images
fill a page."""

NOTHING = 1e-4
"""Distances below it are those of equal images: networks round otherwise in other batches."""


@dataclass(frozen=True)
class Row:
    """A sample and the training images nearest to it.

    Attributes:
        sample: uint8 [H, W, 3].
        name: what is written below it.
        images: k images, uint8 [H, W, 3], the nearest first.
        distances: [k], how far they are.
    """

    sample: Pixels
    name: str
    images: Sequence[Pixels]
    distances: Sequence[float]


def original_rows(originals: Pixels, made: Pixels, columns: int) -> Pixels:
    """Rows of originals, each with the row of their reconstructions below it.

    Args:
        originals: uint8 [N, H, W, 3].
        made: uint8 [N, H, W, 3], the reconstruction of each.
        columns: pairs side by side.

    Returns:
        uint8 [height, width, 3]; on the left is written which row is which.

    Raises:
        ValueError: no image, not uint8 [N, H, W, 3], or other than one reconstruction an image.
    """
    check(originals, columns)
    if originals.shape != made.shape:
        raise ValueError(f"images {originals.shape} cannot be reconstructed as {made.shape}")
    columns = min(columns, len(originals))
    pairs = []
    for start in range(0, len(originals), columns):
        above, below = originals[start : start + columns], made[start : start + columns]
        empty = np.full_like(originals[: columns - len(above)], 255)
        rows = np.concatenate([above, empty, below, empty])
        pairs.append(name_rows(grid(rows, columns), ("original", "reconstruction")))
    return _joined(pairs, 0, 5 * GAP)


def neighbour_rows(blocks: Mapping[str, Sequence[Row]], below: Sequence[str] = ()) -> Pixels:
    """Blocks side by side: a row a sample, to its right its neighbours, with distances below.

    Args:
        blocks: title → rows, at least one.
        below: lines of text below the blocks.

    Returns:
        uint8 [height, width, 3].
    """
    size = round(TYPE * min(_tall(row) for rows in blocks.values() for row in rows))
    made = []
    for title, rows in blocks.items():
        lines = [words(title, size), *(_line(row, size) for row in rows)]
        made.append(_joined(lines, 0, size // 2))
    return _joined([_joined(made, 1, 2 * size), *(words(text, size) for text in below)], 0, size)


def _tall(row: Row) -> int:
    return len(enlarged(row.sample, SIDE))


def _line(row: Row, size: int) -> Pixels:
    found = [
        _tile(image, short(distance), size)
        for image, distance in zip(row.images, row.distances, strict=True)
    ]
    return _joined([_tile(row.sample, row.name, size), _joined(found, 1, GAP)], 1, size)


def short(distance: float) -> str:
    """A distance to three digits, as all of a row: "0.510", "1.00", "12.3"."""
    return f"{distance:#.3g}".rstrip(".") if distance > NOTHING else "0"


def _tile(image: Pixels, text: str, size: int) -> Pixels:
    """An image with a line below it."""
    return _joined([enlarged(image, SIDE), words(text, size)], 0, GAP)


def _joined(pieces: Sequence[Pixels], axis: int, gap: int) -> Pixels:
    """Pictures below one another (axis 0) or side by side (1), white between and around them."""
    across = max(piece.shape[1 - axis] for piece in pieces)
    padded = []
    for number, piece in enumerate(pieces):
        room = [(0, 0), (0, 0), (0, 0)]
        room[1 - axis] = (0, across - piece.shape[1 - axis])
        room[axis] = (gap if number else 0, 0)
        padded.append(np.pad(piece, room, constant_values=255))
    return np.concatenate(padded, axis)
