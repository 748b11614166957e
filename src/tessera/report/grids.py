"""Sample sets as one picture."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

GAP = 2
"""Pixels of white between two images."""

LEAST_SIDE = 64
"""Images smaller than this are enlarged by a whole factor: 32 pixels are too few to be seen."""

Pixels = NDArray[np.uint8]


def grid(images: Pixels, columns: int) -> Pixels:
    """Images row by row, white between them and in the places that stay empty.

    Args:
        images: uint8 [N, H, W, 3].
        columns: images a row; fewer images than that make one shorter row.

    Returns:
        uint8 [height, width, 3].

    Raises:
        ValueError: no image, or not [N, H, W, 3] in uint8.
    """
    _check(images, columns)
    columns = min(columns, len(images))
    rows = [images[start : start + columns] for start in range(0, len(images), columns)]
    return _stack(rows, columns, images.shape[1:3])


def class_rows(
    images: Pixels, labels: NDArray[np.integer], classes: int | Sequence[int], per_class: int
) -> Pixels:
    """A row a class: its first images, from left to right.

    Args:
        images: uint8 [N, H, W, 3].
        labels: [N], each image's class.
        classes: the classes to show, a row each in this order; a number n stands for 0..n-1.
        per_class: images a row; where a class has fewer, white.

    Returns:
        uint8 [height, width, 3].

    Raises:
        ValueError: no image or class, other than one label an image, or not uint8 [N, H, W, 3].
    """
    _check(images, per_class)
    if len(labels) != len(images):
        raise ValueError(f"{len(images)} images have {len(labels)} labels")
    wanted = range(classes) if isinstance(classes, int) else classes
    if not len(wanted):
        raise ValueError("no class is to be shown")
    rows = [images[np.flatnonzero(labels == label)[:per_class]] for label in wanted]
    return _stack(rows, per_class, images.shape[1:3])


def _check(images: Pixels, columns: int) -> None:
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        raise ValueError(f"images must be uint8 [N, H, W, 3], got {images.dtype} {images.shape}")
    if not len(images) or columns < 1:
        raise ValueError(f"a grid needs images and columns, got {len(images)} and {columns}")


def _stack(rows: Sequence[Pixels], columns: int, size: tuple[int, ...]) -> Pixels:
    factor = -(-LEAST_SIDE // min(size))  # rounded up; 1 from 64 pixels on
    height, width = size[0] * factor, size[1] * factor
    shape = (len(rows) * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3)
    canvas = np.full(shape, 255, dtype=np.uint8)
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            top, left = i * (height + GAP), j * (width + GAP)
            enlarged = image.repeat(factor, axis=0).repeat(factor, axis=1)
            canvas[top : top + height, left : left + width] = enlarged
    return canvas
