"""From records to batches of pixels: threads decode and cut, one batch ahead of the network."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tessera.data.pixels import decode
from tessera.data.records import Record
from tessera.data.threads import AHEAD, ordered_map
from tessera.data.views import cut_views
from tessera.errors import UserError

if TYPE_CHECKING:
    from tessera.config.data import Views


@dataclass(frozen=True)
class Images:
    """Images of one split, or of a piece of it.

    Attributes:
        pixels: uint8 [N, views, 3, H, W].
        labels: int64 [N], classes.
        numbers: int64 [N], places in the split's order.
    """

    pixels: np.ndarray
    labels: np.ndarray
    numbers: np.ndarray


def batches(
    records: Iterable[Record], split: str, views: "Views", batch: int, workers: int = 1
) -> Iterator[Images]:
    """Decodes and cuts images; the pixels are the same with any number of threads.

    Args:
        records: the images, read by the calling thread.
        split: "train" or "validation".
        views: what is cut out of each image.
        batch: images at once; the last batch may be smaller.
        workers: threads that decode.

    Raises:
        UserError: an image cannot be read, or is smaller than the crop.
    """

    def cut(record: Record) -> tuple[np.ndarray, int, int]:
        return _cut(record, split, views), record.label, record.number

    waiting: list[tuple[np.ndarray, int, int]] = []
    # While a network works on one batch, the threads decode the next.
    for entry in ordered_map(cut, records, workers, ahead=max(batch, AHEAD * workers)):
        waiting.append(entry)
        if len(waiting) == batch:
            yield _stack(waiting)
            waiting = []
    if waiting:
        yield _stack(waiting)


def _cut(record: Record, split: str, views: "Views") -> np.ndarray:
    """The views of one image, uint8 [views, 3, H, W]."""
    try:
        image = decode(record.read())
    except UserError as error:
        # What was packed has been decoded before; of the others nobody knows before now.
        cure = f": repair it, or add {record.name!r} to `exclude` of its data set"
        raise UserError(f"{record.where}: {error}{cure if record.name else ''}") from error
    try:
        return cut_views(image, record.number, views, split)
    except UserError as error:
        raise UserError(f"{record.where}: {error}") from error


def _stack(entries: Sequence[tuple[np.ndarray, int, int]]) -> Images:
    pixels, labels, numbers = zip(*entries, strict=True)
    return Images(np.stack(pixels), np.asarray(labels, np.int64), np.asarray(numbers, np.int64))
