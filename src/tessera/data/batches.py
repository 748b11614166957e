"""Which images an update sees: a function of the seed and the update alone."""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor


def batch_indices(count: int, batch: int, seed: int, step: int) -> Tensor:
    """The images of update `step`: entries step*batch … of an endless run of epochs.

    Every epoch is a permutation drawn from (seed, epoch), so each index comes once an epoch;
    batches run across the end of an epoch.

    Args:
        count: images in all.
        batch: images an update.
        seed: seed of the order.
        step: the update, from 0.

    Returns:
        Long [batch].
    """
    start, stop = step * batch, (step + 1) * batch
    pieces = []
    for epoch in range(start // count, (stop - 1) // count + 1):
        order = _order(count, seed, epoch)
        pieces.append(order[max(0, start - epoch * count) : stop - epoch * count])
    return torch.from_numpy(np.concatenate(pieces))


@lru_cache(maxsize=2)  # a permutation of ImageNet takes 20 ms, an update asks for one each time
def _order(count: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64([seed, epoch])).permutation(count)
