"""Keys and values of the positions decoded so far, in buffers that are allocated once."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class LayerCache:
    """Keys and values of one attention layer, each [B, heads, capacity, head width].

    The head comes before the position: decoding reads all positions of a head at every step and
    writes only one, so the reads are what should be contiguous.
    """

    keys: Tensor
    values: Tensor


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


def new_cache(
    layers: int,
    batch: int,
    heads: int,
    capacity: int,
    head_width: int,
    *,
    dtype: torch.dtype,
    device: torch.device,
) -> KVCache:
    """Allocate the buffers of a decoder.

    Args:
        layers: Attention layers.
        batch: Sequences decoded together.
        heads: Attention heads a layer.
        capacity: Positions a sequence can have, prefix and start symbol included.
        head_width: Width of a head.
        dtype: Precision of the buffers.
        device: Where they lie.

    Returns:
        Buffers with undefined content: every position is written before it is read.
    """
    shape = (layers, 2, batch, heads, capacity, head_width)
    block = torch.empty(shape, dtype=dtype, device=device)
    # Split once: indexing the block at every layer of every step would cost more than the copy.
    return KVCache(tuple(LayerCache(keys, values) for keys, values in block.unbind(0)))
