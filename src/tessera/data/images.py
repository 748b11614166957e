"""Reading images: as a stream of shards, some of them, or a whole split in memory."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tessera.config.data import Views
from tessera.data.decoding import Images, batches
from tessera.data.readers import read
from tessera.errors import UserError
from tessera.io.files import read_json


def spread(count: int, wanted: int) -> np.ndarray:
    """Numbers of `wanted` of `count` images, evenly spread; of all where there are not as many.

    Returns:
        int64 [min(count, wanted)], ascending.
    """
    wanted = min(count, wanted)
    return np.arange(wanted, dtype=np.int64) * count // max(wanted, 1)


class ShardIndex:
    """What the stage `shards` wrote: which images there are and where they lie.

    Raises:
        UserError: the index is absent or damaged.
    """

    def __init__(self, path: Path | str) -> None:
        self.folder = Path(path).parent
        self._json: dict[str, Any] = read_json(path)
        self.classes: list[str] = self._json["classes"]

    def count(self, split: str) -> int:
        """Images of a split."""
        return int(self._json["splits"][split]["count"])

    def shards(self, split: str, part: int = 0, parts: int = 1) -> list[dict[str, Any]]:
        """The shards of a split that part `part` of `parts` reads: every parts-th one."""
        return list(self._json["splits"][split]["shards"][part::parts])

    def stream(
        self,
        split: str,
        views: Views,
        batch: int,
        part: int = 0,
        parts: int = 1,
        workers: int = 1,
    ) -> Iterator[Images]:
        """Reads shards one after the other and yields batches of at most `batch` images.

        Args:
            split: "train" or "validation".
            views: what is cut out of each image.
            batch: images at once.
            part: which of the parts to read.
            parts: into how many parts the shards are dealt.
            workers: threads that decode; the images are the same with any number.

        Raises:
            UserError: a shard or an image cannot be read, or an image is smaller than the crop.
        """
        records = (
            record
            for shard in self.shards(split, part, parts)
            for record in read(shard, self.folder, self._json.get("source", {}))
        )
        yield from batches(records, split, views, batch, workers)

    def take(self, split: str, views: Views, numbers: Iterable[int], workers: int = 1) -> Images:
        """Some images of a split, without decoding the others.

        Args:
            split: "train" or "validation".
            views: what is cut out of each image.
            numbers: which images, at least one.
            workers: threads that decode.

        Returns:
            The images in the order of their numbers.

        Raises:
            UserError: as for `stream`.
        """
        wanted = {int(number) for number in numbers}
        records = (
            record
            for shard in self.shards(split)
            if not wanted.isdisjoint(range(shard["first"], shard["first"] + shard["count"]))
            for record in read(shard, self.folder, self._json.get("source", {}))
            if record.number in wanted
        )
        return _joined(list(batches(records, split, views, max(len(wanted), 1), workers)))

    def load(self, split: str, views: Views) -> Images:
        """Reads a whole split into memory, in the order of the images' numbers."""
        pieces = list(self.stream(split, views, batch=1024))
        if not pieces:
            raise UserError(f"the split {split} of {self.folder} is empty: check the data set")
        return _joined(pieces)


def _joined(pieces: Sequence[Images]) -> Images:
    numbers = np.concatenate([piece.numbers for piece in pieces])
    order = np.argsort(numbers)
    return Images(
        np.concatenate([piece.pixels for piece in pieces])[order],
        np.concatenate([piece.labels for piece in pieces])[order],
        numbers[order],
    )
