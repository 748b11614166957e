"""Token sets in memory.

The tokens of ImageNet are 0.66 GB a view: they fit into memory, on the GPU where there is one, and
a training needs no loader.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tessera.data.batches import batch_indices
from tessera.errors import UserError
from tessera.io.parts import read_part
from tessera.nn.transfer import sent


@dataclass(frozen=True)
class TokenSet:
    """The tokens of one split by one tokenizer.

    Attributes:
        codes: [N, views, L] in the order of the images' numbers; int16, or int32 for a vocabulary
            beyond it.
        labels: int64 [N], classes.
        numbers: int64 [N], the images' places in the split.
        vocabulary: number of different codes, K.
        classes: the classes' names.
    """

    codes: Tensor
    labels: Tensor
    numbers: Tensor
    vocabulary: int
    classes: list[str]

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def length(self) -> int:
        """Tokens an image, L."""
        return self.codes.shape[2]

    def to(self, device: str) -> "TokenSet":
        """The same set on a device."""
        return TokenSet(
            self.codes.to(device), self.labels.to(device), self.numbers.to(device),
            self.vocabulary, self.classes,
        )  # fmt: skip


def load_tokens(parts: Sequence[Path]) -> TokenSet:
    """Reads all parts of a token set.

    Raises:
        UserError: a part is damaged, an image is missing or there twice, or the set is empty.
    """
    read = [read_part(path) for path in parts]
    attributes = read[0][1]
    _require_alike(parts, [arrays for arrays, _ in read])
    numbers = np.concatenate([arrays["number"] for arrays, _ in read])
    order = np.argsort(numbers)
    if not len(numbers) or not np.array_equal(numbers[order], np.arange(len(numbers))):
        raise UserError(
            f"the parts beside {parts[0]} do not hold each image once ({len(numbers)} images): "
            "delete them and run again"
        )
    codes = np.concatenate([arrays["codes"] for arrays, _ in read])[order]
    labels = np.concatenate([arrays["label"] for arrays, _ in read])[order]
    vocabulary = int(attributes["vocabulary"])
    if codes.max() >= vocabulary:
        raise UserError(
            f"the tokens beside {parts[0]} reach {codes.max()}, beyond their vocabulary of "
            f"{vocabulary}: delete them and run again"
        )
    return TokenSet(
        torch.from_numpy(codes.astype(np.int16 if vocabulary <= 2**15 else np.int32)),
        torch.from_numpy(labels.astype(np.int64)),
        torch.from_numpy(numbers[order]),
        vocabulary,
        list(attributes["classes"]),
    )


def _require_alike(parts: Sequence[Path], read: Sequence[Mapping[str, np.ndarray]]) -> None:
    """Checks that all parts hold tokens, and of equally many views and equal length."""
    for path, arrays in zip(parts, read, strict=True):
        if not arrays.keys() >= {"codes", "label", "number"} or arrays["codes"].ndim != 3:
            raise UserError(f"{path} holds no tokens ({', '.join(arrays)}): check its card")
        if arrays["codes"].shape[1:] != read[0]["codes"].shape[1:]:
            raise UserError(
                f"{path} holds tokens [images, views, length] of the shape "
                f"{arrays['codes'].shape}, {parts[0]} of {read[0]['codes'].shape}: delete the one "
                "that is not of this set and run again"
            )


def draw_batch(
    images: int,
    views: int,
    batch: int,
    seed: int,
    step: int,
    micro_batch: int = 0,
    micro: int = 0,
    device: str = "cpu",
) -> tuple[Tensor, Tensor]:
    """The images of an update and the view of each: functions of the seed and the update alone.

    Args:
        images: images of the set.
        views: views of each.
        batch: images an update.
        seed: seed of the order and of the views.
        step: the update, from 0.
        micro_batch: images at once, a divisor of `batch`; 0 takes the whole batch.
        micro: which micro-batch of the update, from 0.
        device: where the indices are wanted.

    Returns:
        Long [micro_batch], twice: image indices (each once an epoch), view indices (uniform draws).
    """
    drawn = np.random.Generator(np.random.Philox(key=[seed, step])).integers(views, size=batch)
    chosen = batch_indices(images, batch, seed, step)
    size = micro_batch or batch
    return (
        sent(chosen.split(size)[micro], device),
        sent(torch.from_numpy(drawn).split(size)[micro], device),
    )
