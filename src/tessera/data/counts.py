"""How often each code of a token set comes, class by class, counted by dask."""

from collections.abc import Sequence
from pathlib import Path

import dask
import numpy as np
from numpy.typing import NDArray

from tessera.data.computing import fold
from tessera.data.spans import Span, spans
from tessera.errors import UserError

Table = NDArray[np.int64]


def count_codes(parts: Sequence[Path], classes: int, vocabulary: int) -> Table:
    """Counts the codes of all images and views.

    A task holds a chunk and one table (8 bytes a class and code); tables are added in order.

    Args:
        parts: files with arrays `codes` [N, views, L] and `label` [N].
        classes: number of classes, C.
        vocabulary: number of different codes, K.

    Returns:
        int64 [C, K].

    Raises:
        UserError: there is no image, or a code or class beyond its range.
    """
    count = dask.delayed(count_span, pure=False)
    tasks = [count(span, classes, vocabulary) for span in spans(parts, "codes")]
    if not tasks:
        raise UserError(f"the tokens beside {parts[0]} are of no image: run their stage again")
    table: Table
    (table,) = dask.compute(fold(tasks, np.add))
    return table


def count_span(span: Span, classes: int, vocabulary: int) -> Table:
    """The table of one span.

    Raises:
        UserError: as `count_codes`.
    """
    table = np.zeros((classes, vocabulary), np.int64)
    for codes, labels in span.blocks("codes", "label"):
        if codes.max() >= vocabulary or labels.min() < 0 or labels.max() >= classes:
            raise UserError(
                f"{span.path} holds codes up to {codes.max()} of {vocabulary} and classes from "
                f"{labels.min()} to {labels.max()} of {classes}: delete it and run again"
            )
        # Images come class by class, so a chunk has few of the classes: a small table does.
        present, rows = np.unique(labels, return_inverse=True)
        cells = rows[:, None] * vocabulary + codes.reshape(len(codes), -1)
        counted = np.bincount(cells.ravel(), minlength=len(present) * vocabulary)
        table[present] += counted.reshape(len(present), vocabulary)
    return table
