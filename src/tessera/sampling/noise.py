"""Uniform numbers that depend on the sample alone, not on how samples are split into batches.

Philox, a counter-based generator: Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3"
(SC 2011). The key is made of seed and stream, the counter starts at the sample's own range, so
any sample can be drawn anywhere without drawing those before it.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


def uniforms(
    seed: int, stream: str | int, sample_ids: Iterable[int] | Tensor, shape: Sequence[int]
) -> Tensor:
    """Draw uniform numbers for each sample.

    Args:
        seed: Any whole number.
        stream: Name of the use, such as the model that samples; different streams are independent.
        sample_ids: Numbers of n samples, each at least 0.
        shape: Shape of one sample's numbers.

    Returns:
        Float64 [n, *shape] on the CPU, in (0, 1) with both ends excluded. Row j is a function of
        (seed, stream, sample_ids[j]) and of the shape's size only.
    """
    ids = sample_ids.tolist() if isinstance(sample_ids, Tensor) else [int(i) for i in sample_ids]
    digest = hashlib.sha256(f"{seed}/{stream}".encode()).digest()
    key = int.from_bytes(digest[:16], "little")
    count = math.prod(shape)
    raw = np.empty((len(ids), count), dtype=np.uint64)
    # Moving one generator takes 7 us a sample of 256 numbers, making one for each 50 us.
    generator = np.random.Philox(key=key)
    state: Any = generator.state
    for row, i in enumerate(ids):
        # Sample i owns the counters i * 2**192 and up, of which no sample can use all.
        state["state"]["counter"][3] = i
        generator.state = state
        raw[row] = generator.random_raw(count)
    # The midpoints of 2**52 equal intervals: exact in float64, and never 0 or 1.
    values = ((raw >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
    return torch.from_numpy(values).reshape(len(ids), *shape)
