"""Reading packed images: as a stream of shards, or a whole split in memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tessera.config.data import Views
from tessera.data.shards import decode, read_shard
from tessera.data.views import cut_views
from tessera.errors import UserError
from tessera.io.files import read_json


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


class ShardIndex:
    """What the stage `shards` wrote beside the shards.

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
        self, split: str, views: Views, batch: int, part: int = 0, parts: int = 1
    ) -> Iterator[Images]:
        """Reads shards one after the other and yields batches of at most `batch` images."""
        waiting: list[tuple[np.ndarray, int, int]] = []
        for shard in self.shards(split, part, parts):
            path = self.folder / shard["file"]
            for number, data, label in read_shard(path, shard["count"]):
                try:
                    pixels = cut_views(decode(data), number, views, split)
                except UserError as error:
                    raise UserError(f"{path}, image {number}: {error}") from error
                waiting.append((pixels, label, number))
                if len(waiting) == batch:
                    yield _stack(waiting)
                    waiting = []
        if waiting:
            yield _stack(waiting)

    def load(self, split: str, views: Views) -> Images:
        """Reads a whole split into memory, in the order of the images' numbers."""
        pieces = list(self.stream(split, views, batch=1024))
        if not pieces:
            raise UserError(f"the split {split} of {self.folder} is empty: check the data set")
        numbers = np.concatenate([piece.numbers for piece in pieces])
        order = np.argsort(numbers)
        return Images(
            np.concatenate([piece.pixels for piece in pieces])[order],
            np.concatenate([piece.labels for piece in pieces])[order],
            numbers[order],
        )


def _stack(entries: Sequence[tuple[np.ndarray, int, int]]) -> Images:
    pixels, labels, numbers = zip(*entries, strict=True)
    return Images(np.stack(pixels), np.asarray(labels, np.int64), np.asarray(numbers, np.int64))
