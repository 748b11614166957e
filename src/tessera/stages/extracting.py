"""What the stages share that compare images by the features of an extractor."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tessera.config.data import Views
from tessera.data.images import ShardIndex
from tessera.data.views import as_reference
from tessera.errors import UserError
from tessera.metrics.extractors import (
    Extractor,
    Features,
    classifier_extractor,
    inception_extractor,
)
from tessera.stages.job import Job, log, parse_settings
from tessera.stages.loading import load_classifier


def open_extractor(job: Job, file: Path) -> tuple[Extractor, str]:
    """The extractor from its card, or from the file of Inception's weights; and its kind."""
    node: dict[str, Any] = job.node["inputs"]["extractor"]
    if node["settings"]["kind"] == "classifier":
        job.input("extractor", file, "extractor")
        classifier = load_classifier(file.parent, job.arguments.device)
        return classifier_extractor(classifier, file.parent.name), "classifier"
    return inception_extractor(file, node["inputs"]["files"]), "inception"


class CentreCrops:
    """The centre crops of one split, batch by batch: what sample sets are compared with.

    Args:
        job: the running job, whose node names the views; records the shards.
        shards: card of the shards.
        split: "train" or "validation".

    Attributes:
        count: images of the split.
        side: side of the crops, pixels.
        numbers: the numbers of the images that the running pass gave last, int64 [B].
    """

    def __init__(self, job: Job, shards: Path, split: str) -> None:
        job.input("shards", shards, "shards")
        self._index = ShardIndex(shards.parent / "index.json")
        self._views = as_reference(parse_settings(Views, job.node["inputs"]["views"]))
        self._split, self._batch = split, job.arguments.batch
        self._workers = job.arguments.threads
        self._numbers: list[np.ndarray] = []
        self.numbers = np.empty(0, np.int64)
        self.count, self.side = self._index.count(split), self._views.crop
        if not self.count:
            raise UserError(f"the split {split} of {shards.parent} is empty: check the data set")

    def require_size(self, height: int, width: int) -> None:
        """Raises UserError unless samples of this size, pixels, can be compared with the crops."""
        if (height, width) != (self.side, self.side):
            raise UserError(
                f"samples are {width}x{height} but the reference images {self.side}x{self.side}: "
                "bring both to one size"
            )

    def __iter__(self) -> Iterator[Tensor]:
        """Yields uint8 [at most the batch, 3, side, side]."""
        self._numbers = []
        pieces = self._index.stream(self._split, self._views, self._batch, workers=self._workers)
        for piece in pieces:
            self.numbers = piece.numbers
            self._numbers.append(piece.numbers)
            yield torch.from_numpy(piece.pixels[:, 0])

    def some(self, numbers: Sequence[int] | np.ndarray) -> Iterator[Tensor]:
        """Those of some images, in the order of their numbers and not decoding the others.

        Yields:
            uint8 [at most the batch, 3, side, side].
        """
        wanted = np.unique(numbers)  # sorted too
        for start in range(0, len(wanted), self._batch):
            piece = wanted[start : start + self._batch]
            read = self._index.take(self._split, self._views, piece, self._workers)
            yield torch.from_numpy(read.pixels[:, 0])

    def ordered(self, features: Features) -> Features:
        """Features of the last pass in the order of the images' numbers.

        Random subsets are drawn by place, so they must not depend on the order of reading.
        """
        order = torch.from_numpy(np.argsort(np.concatenate(self._numbers)))
        return Features(features.features[order], features.logits[order])


class Progress:
    """Logs how many images are done, once every few seconds.

    Args:
        what: what is counted.
        count: how many there are.
        seconds: between two lines.
    """

    def __init__(self, what: str, count: int, seconds: float = 5.0) -> None:
        self._what, self._count, self._seconds = what, count, seconds
        self._last = time.monotonic()

    def __call__(self, done: int) -> None:
        """Logs a line if it is time for one."""
        if time.monotonic() - self._last >= self._seconds:
            self._last = time.monotonic()
            log.info("%s: %d of %d", self._what, done, self._count)
