"""Nearest centroids: the rule that turns features into tokens, and the inner loop of K-Means.

|f - c|^2 is smallest where |c|^2 / 2 - f.c is: one matrix product with a bias, whose rows are
searched while they are still in the cache.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue

import numpy as np
import torch
from torch import Tensor

from tessera.quantize.sizes import block_rows
from tessera.quantize.workers import each

TF32_BITS = -1 << 13
"""Mask of what TF32 keeps of a float32: sign, exponent and 10 bits of the mantissa."""


@dataclass(frozen=True)
class Table:
    """Centroids as they are multiplied with.

    Attributes:
        minus: float32 [K, d], the negative centroids; [K, 2 d] where they are `halved`: the part
            that TF32 holds, and the rest.
        bias: float32 [K], half the square of each.
        halved: whether they are multiplied in TF32, as two halves.
    """

    minus: Tensor
    bias: Tensor
    halved: bool = False

    def scores(self, points: Tensor, out: Tensor | None = None) -> Tensor:
        """|c|^2 / 2 - f.c of float32 points [N, d] to each centroid [N, K], in `out` if given."""
        if not self.halved:
            return torch.addmm(self.bias, points, self.minus.T, out=out)
        with _tf32():
            return torch.addmm(self.bias, torch.cat([points, points], 1), self.minus.T, out=out)


def table_of(centroids: Tensor, halved: bool = False) -> Table:
    """Centroids [K, d] as a table.

    Args:
        centroids: any floating type.
        halved: multiply in TF32, with each centroid as the sum of two numbers that TF32 holds. For
            points of 16 bits, which TF32 holds as they are, each product of two numbers is then
            exact to 2^-21, even if the GPU cuts off what TF32 cannot hold; a float32 sum of
            hundreds rounds by more. On an H100 it is three times as fast.
    """
    minus = -centroids.float()
    bias = minus.square().sum(1) / 2
    if halved:
        upper, lower = tf32_halves(minus)
        minus = torch.cat([upper, lower], 1)
    return Table(minus, bias, halved)


def tf32_halves(numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Float32 numbers as what TF32 keeps of them, and the exact rest, of 13 bits at most."""
    upper = (numbers.view(torch.int32) & TF32_BITS).view(torch.float32)
    return upper, numbers - upper


def closest(points: Tensor, table: Table, rows: int | None = None) -> tuple[Tensor, Tensor]:
    """The nearest centroid of each point.

    Args:
        points: float32 [N, d], on the table's device.
        table: the centroids.
        rows: points whose scores are held at the same time, by each thread; None chooses.

    Returns:
        int64 [N], the lowest index among equals; and its score, float32 [N]: half the squared
        distance, less half of |f|^2.
    """
    if rows is None:
        rows = block_rows(len(table.bias), points.device.type)
    blocks = points.split(rows)
    if points.device.type == "cpu":
        found = _search_on_threads(blocks, table, rows)
    else:
        found = [tuple(table.scores(block).min(1)) for block in blocks]
    values, indices = zip(*found, strict=True)
    return torch.cat(indices), torch.cat(values)


def _search_on_threads(
    blocks: Sequence[Tensor], table: Table, rows: int
) -> list[tuple[Tensor, ...]]:
    """The lowest score of each point of each block, and its index; blocks side by side."""
    # Each thread's scores are written over those of its last block. New ones for each block, freed
    # by many threads, were found to hold ten times the memory.
    buffers: SimpleQueue[Tensor] = SimpleQueue()

    def search(block: Tensor) -> tuple[Tensor, ...]:
        try:
            buffer = buffers.get_nowait()
        except Empty:
            buffer = torch.empty(rows, len(table.bias))
        scores = table.scores(block, buffer[: len(block)]).numpy()
        index = scores.argmin(1)  # numpy takes 0.2 ns a number on one thread, torch 1.7
        values = np.take_along_axis(scores, index[:, None], 1)[:, 0]
        buffers.put(buffer)
        return torch.from_numpy(values), torch.from_numpy(index)

    return each(search, blocks)


def nearest(features: Tensor, centroids: Tensor, rows: int | None = None) -> Tensor:
    """The nearest centroid of each feature: argmin over c of |c|^2 / 2 - f.c, in float32.

    Args:
        features: [B, d], any floating type.
        centroids: [K, d], on the same device.
        rows: features whose scores are held at the same time; None chooses. It changes no result
            but by rounding.

    Returns:
        int64 [B]; the lowest index among equals.
    """
    with torch.autocast(features.device.type, enabled=False):
        return closest(features.detach().float(), table_of(centroids.detach()), rows)[0]


@contextmanager
def _tf32() -> Iterator[None]:
    """Lets the GPU multiply in TF32; one without it multiplies in float32."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
