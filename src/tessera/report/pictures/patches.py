"""Patches amid their surroundings as one picture: a row a code, words on its left."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor

from tessera.report.pictures.lettering import line_height, words
from tessera.report.style import COLOURS

Pixels = NDArray[np.uint8]

LEAST_SIDE = 96
"""Surroundings smaller than this are enlarged by a whole factor."""
FRAME, GAP = 1 / 32, 4
"""Width of a patch's frame, as a share of a tile's side; white pixels between two tiles."""
LETTER = 0.17
"""Height of a letter, as a share of a tile's: three lines fit beside it, to be read in print."""


@dataclass(frozen=True)
class Cut:
    """A patch amid its surroundings.

    Attributes:
        pixels: uint8 [h, w, 3], both.
        top: first row of the patch in them.
        left: first column of it.
        height: rows of it.
        width: columns of it.
    """

    pixels: Pixels
    top: int
    left: int
    height: int
    width: int


def cut(view: Pixels, grid: tuple[int, int], position: int, context: int | None) -> Cut:
    """Cuts a patch out of a view, with what lies around it.

    Args:
        view: uint8 [H, W, 3].
        grid: patches down and across. Where they do not divide the view, a patch is shown without
            the pixels that it shares with its neighbours.
        position: the patch's place in the grid, row by row.
        context: pixels around it. Where the view ends before, there are as many more on the other
            side, so that all cuts have one size. None cuts nothing off.
    """
    spans = []
    for side, count, place in zip(view.shape[:2], grid, divmod(position, grid[1]), strict=True):
        length = max(1, side // count)
        start = round(place * side / count)
        window = side if context is None else min(side, length + 2 * context)
        first = min(max(0, start - (window - length) // 2), side - window)
        spans.append((slice(first, first + window), start - first, length))
    (rows, top, height), (columns, left, width) = spans
    return Cut(view[rows, columns], top, left, height, width)


def sheet(rows: Sequence[tuple[Sequence[str], Sequence[Cut]]], columns: int) -> Pixels:
    """Rows of cuts of one size, with words on the left of each.

    Args:
        rows: the lines of words and the cuts of each row, at least one cut.
        columns: cuts a row; where there are fewer, white.

    Returns:
        uint8 [height, width, 3].
    """
    first = rows[0][1][0].pixels
    factor = max(1, -(-LEAST_SIDE // min(first.shape[:2])))
    size = round(LETTER * min(first.shape[:2]) * factor)
    tiles = [[tile(one, factor) for one in cuts] for _, cuts in rows]
    texts = [[words(line, size) for line in lines] for lines, _ in rows]
    left = max(line.shape[1] for lines in texts for line in lines) + 2 * GAP
    height, width = (side + GAP for side in tiles[0][0].shape[:2])
    shape = (len(rows) * height - GAP, left + columns * width - GAP, 3)
    canvas = np.full(shape, 255, dtype=np.uint8)
    for i, (lines, shown) in enumerate(zip(texts, tiles, strict=True)):
        top = i * height + (height - GAP - len(lines) * line_height(size)) // 2
        for j, line in enumerate(lines):
            _paste(canvas, line, top + j * line_height(size), GAP)
        for j, one in enumerate(shown):
            _paste(canvas, one, i * height, left + j * width)
    return canvas


def _paste(canvas: Pixels, piece: Pixels, top: int, left: int) -> None:
    canvas[top : top + piece.shape[0], left : left + piece.shape[1]] = piece


def tile(one: Cut, factor: int) -> Pixels:
    """A cut enlarged, within a white margin as wide as the frame, and the frame around the patch.

    The frame lies outside of the patch: of its own pixels all are to be seen. Its outer half is
    white, its inner one coloured: on any image one of them stands out.

    Args:
        one: the cut, [h, w, 3].
        factor: a pixel's side in the picture.

    Returns:
        uint8 [h * factor + 2 * frame, w * factor + 2 * frame, 3].
    """
    enlarged = one.pixels.repeat(factor, axis=0).repeat(factor, axis=1)
    frame = frame_width(*enlarged.shape[:2])
    found = np.pad(enlarged, ((frame, frame), (frame, frame), (0, 0)), constant_values=255)
    rows = slice(one.top * factor, (one.top + one.height) * factor + 2 * frame)
    columns = slice(one.left * factor, (one.left + one.width) * factor + 2 * frame)
    framed = found[rows, columns]
    inside = framed[frame:-frame, frame:-frame].copy()
    outer = frame // 2
    framed[:] = 255
    framed[outer:-outer, outer:-outer] = ImageColor.getrgb(COLOURS[1])
    framed[frame:-frame, frame:-frame] = inside
    return found


def frame_width(height: int, width: int) -> int:
    """Pixels of the frame in a tile of this size."""
    return max(3, round(FRAME * min(height, width)))
