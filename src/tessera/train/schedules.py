"""Learning rates as functions of the update, counted from 0."""

import math


def inverse_sqrt(step: int, peak: float, warmup: int, initial: float = 1e-7) -> float:
    """Linear warm-up, then decay with the inverse square root (fairseq's `inverse_sqrt`).

    Update n uses initial + n (peak - initial) / warmup while n < warmup, then
    peak sqrt(warmup / n). Without a warm-up it decays from update 1 on: peak / sqrt(n + 1).
    """
    if step < warmup:
        return initial + step * (peak - initial) / warmup
    if warmup == 0:
        return peak / math.sqrt(step + 1)
    return peak * math.sqrt(warmup / step)


def cosine(
    step: int, peak: float, warmup: int, steps: int, floor: float = 0.0, initial: float = 0.0
) -> float:
    """Linear warm-up from `initial`, then half a cosine from `peak` to `floor` at `steps`."""
    if step < warmup:
        return initial + step * (peak - initial) / warmup
    progress = min(1.0, (step - warmup) / max(1, steps - warmup))
    return floor + (peak - floor) * (1 + math.cos(math.pi * progress)) / 2
