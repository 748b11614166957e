"""Keys and values of the positions decoded so far, in buffers that are allocated once."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class LayerCache:
    """Keys and values of one attention layer.

    The head comes before the position: decoding reads all positions of a head at every step and
    writes only one, so the reads are what should be contiguous.

    Attributes:
        both: [2, B, heads, capacity, head width].
        keys: The first half of it.
        values: The second half.
    """

    both: Tensor
    keys: Tensor
    values: Tensor

    def rows(self, start: int, stop: int) -> "LayerCache":
        """Views of the sequences from ``start`` up to ``stop``."""
        return layer_cache(self.both[:, start:stop])


@dataclass(frozen=True)
class KVCache:
    """One :class:`LayerCache` a layer; views of a single block of memory."""

    layers: tuple[LayerCache, ...]

    @property
    def batch(self) -> int:
        """Sequences that are decoded together."""
        return self.layers[0].keys.shape[0]

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the stored keys and values."""
        return self.layers[0].keys.dtype

    @property
    def device(self) -> torch.device:
        """Where the buffers lie."""
        return self.layers[0].keys.device

    def rows(self, start: int, stop: int) -> "KVCache":
        """Views of the sequences from ``start`` up to ``stop``."""
        return KVCache(tuple(layer.rows(start, stop) for layer in self.layers))


def layer_cache(both: Tensor) -> LayerCache:
    """Takes a block [2, B, heads, capacity, head width] apart, once instead of at every step."""
    keys, values = both.unbind(0)
    return LayerCache(both, keys, values)


def new_cache(
    layers: int,
    batch: int,
    heads: int,
    capacity: int,
    head_width: int,
    *,
    dtype: torch.dtype,
    device: torch.device,
    memory: Tensor | None = None,
) -> KVCache:
    """Make the buffers of a decoder.

    Args:
        layers: Attention layers.
        batch: Sequences decoded together.
        heads: Attention heads a layer.
        capacity: Positions a sequence can have, prefix and start symbol included.
        head_width: Width of a head.
        dtype: Precision of the buffers.
        device: Where they lie.
        memory: Numbers of this precision and on this device that the buffers may take the first
            of; None allocates them. Decoders that take turns can so share them.

    Returns:
        Buffers with undefined content: every position is written before it is read.
    """
    shape = (layers, 2, batch, heads, capacity, head_width)
    if memory is None:
        memory = torch.empty(math.prod(shape), dtype=dtype, device=device)
    block = memory[: math.prod(shape)].view(shape)
    return KVCache(tuple(layer_cache(both) for both in block.unbind(0)))
