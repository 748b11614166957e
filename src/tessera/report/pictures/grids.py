"""Sample sets as one picture."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tessera.report.pictures.lettering import shortened, words

GAP = 2
"""Pixels of white between two images."""

LEAST_SIDE = 64
"""Images smaller than this are enlarged by a whole factor: 32 pixels are too few to be seen."""

TYPE = 0.22
"""Size of the type beside a row of images, as a share of an image's height: 7 points where ten
images fill a column of a paper."""

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
    check(images, columns)
    columns = min(columns, len(images))
    rows = [images[start : start + columns] for start in range(0, len(images), columns)]
    return _stack(rows, columns, images.shape[1:3])


def class_rows(
    images: Pixels,
    labels: NDArray[np.integer],
    classes: int | Sequence[int],
    per_class: int,
    names: Sequence[str] | None = None,
) -> Pixels:
    """A row a class: its first images, from left to right.

    Args:
        images: uint8 [N, H, W, 3].
        labels: [N], each image's class.
        classes: the classes to show, a row each in this order; a number n stands for 0..n-1.
        per_class: images a row; where a class has fewer, white.
        names: what to write to the left of the rows; None writes nothing.

    Returns:
        uint8 [height, width, 3].

    Raises:
        ValueError: no image or class, other than one label an image or one name a row, or not
            uint8 [N, H, W, 3].
    """
    check(images, per_class)
    if len(labels) != len(images):
        raise ValueError(f"{len(images)} images have {len(labels)} labels")
    wanted = range(classes) if isinstance(classes, int) else classes
    if not len(wanted):
        raise ValueError("no class is to be shown")
    if names is not None and len(names) != len(wanted):
        raise ValueError(f"{len(wanted)} rows have {len(names)} names")
    rows = [images[np.flatnonzero(labels == label)[:per_class]] for label in wanted]
    made = _stack(rows, per_class, images.shape[1:3])
    return made if names is None else name_rows(made, names)


def name_rows(picture: Pixels, names: Sequence[str]) -> Pixels:
    """Writes a name to the left of each row of a grid, beside the middle of its images.

    Args:
        picture: uint8 [height, width, 3], rows of one height with `GAP` between them.
        names: a name a row; "" writes nothing.

    Returns:
        uint8 [height, more than the width, 3]; the grid is its right part.

    Raises:
        ValueError: other than a name a row.
    """
    step, odd = divmod(len(picture) + GAP, len(names))
    if odd:
        raise ValueError(f"{len(names)} names do not fit a grid of {len(picture)} pixels")
    size = round(TYPE * (step - GAP))
    texts = [words(shortened(name), size) for name in names]
    margin = max(text.shape[1] for text in texts) + size  # half of it on either side
    canvas = np.full((len(picture), margin + picture.shape[1], 3), 255, np.uint8)
    canvas[:, margin:] = picture
    for row, text in enumerate(texts):
        height, width = text.shape[:2]
        top, left = row * step + (step - GAP - height) // 2, margin - size // 2 - width
        canvas[top : top + height, left : left + width] = text
    return canvas


def check(images: Pixels, columns: int) -> None:
    """Raises ValueError unless these are images, uint8 [N, H, W, 3], and there is a column."""
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        raise ValueError(f"images must be uint8 [N, H, W, 3], got {images.dtype} {images.shape}")
    if not len(images) or columns < 1:
        raise ValueError(f"a grid needs images and columns, got {len(images)} and {columns}")


def enlarged(image: Pixels, least: int = LEAST_SIDE) -> Pixels:
    """An image uint8 [H, W, 3] by the least whole factor that gives its shorter side `least`."""
    factor = -(-least // min(image.shape[:2]))  # rounded up; 1 from that size on
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def _stack(rows: Sequence[Pixels], columns: int, size: tuple[int, ...]) -> Pixels:
    height, width = enlarged(np.empty((*size, 3), np.uint8)).shape[:2]
    shape = (len(rows) * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3)
    canvas = np.full(shape, 255, dtype=np.uint8)
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            top, left = i * (height + GAP), j * (width + GAP)
            canvas[top : top + height, left : left + width] = enlarged(image)
    return canvas
