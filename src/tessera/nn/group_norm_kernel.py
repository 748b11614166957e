"""Triton kernels of group norm and swish over maps with channels last: two reads and one write.

The first kernel sums up pieces of each image, the second one puts the sums together and applies
them. No two programs write the same place, so that the result is the same every time. Distances to
the image's first pixel are summed, channel by channel: the squares of values that lie far from 0
would leave nothing of a small variance.

Shapes: B images, N pixels, C channels, G groups, P pieces of an image.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

PIXELS = 2048
"""Pixels of a piece: with 128 channels the sums of all pieces are 3 % of what a program reads."""
TILE = 4096
"""Values that a program holds at once."""


@triton.jit
def _sum(x, sums, pixels, C: tl.constexpr, ROWS: tl.constexpr, PIXELS: tl.constexpr):  # type: ignore[no-untyped-def]
    """Sums of each channel's distances to the first pixel, and of their squares: [B, P, 2, C]."""
    image, piece = tl.program_id(0), tl.program_id(1)
    channel, row = tl.arange(0, C), tl.arange(0, ROWS)
    x += image.to(tl.int64) * pixels * C
    first = tl.load(x + channel).to(tl.float32)
    total = tl.zeros([C], tl.float32)
    squares = tl.zeros([C], tl.float32)
    for start in range(0, PIXELS, ROWS):
        at = piece * PIXELS + start + row
        places = at[:, None] * C + channel[None, :]
        inside = (at < pixels)[:, None]
        value = tl.load(x + places, mask=inside, other=0.0).to(tl.float32) - first[None, :]
        value = tl.where(inside, value, 0.0)
        total += tl.sum(value, 0)
        squares += tl.sum(value * value, 0)
    sums += (image * tl.num_programs(1) + piece) * 2 * C
    tl.store(sums + channel, total)
    tl.store(sums + C + channel, squares)


@triton.jit
def _apply(  # type: ignore[no-untyped-def]
    x, made, sums, weight, bias, pixels, eps,
    C: tl.constexpr, G: tl.constexpr, ROWS: tl.constexpr, PIXELS: tl.constexpr,
):  # fmt: skip
    """Norm and swish by the sums of all pieces of the image."""
    image, piece, pieces = tl.program_id(0), tl.program_id(1), tl.num_programs(1)
    channel, row = tl.arange(0, C), tl.arange(0, ROWS)
    sums += image * pieces * 2 * C
    total = tl.zeros([C], tl.float32)
    squares = tl.zeros([C], tl.float32)
    for other in range(pieces):
        total += tl.load(sums + other * 2 * C + channel)
        squares += tl.load(sums + (other * 2 + 1) * C + channel)
    x += image.to(tl.int64) * pixels * C
    shift = total / pixels
    within = squares / pixels - shift * shift  # variance of each channel
    shift += tl.load(x + channel).to(tl.float32)  # its mean
    mean = tl.sum(tl.reshape(shift, (G, C // G)), 1) / (C // G)  # [G]
    mean = tl.reshape(tl.broadcast_to(mean[:, None], (G, C // G)), (C,))
    within = tl.maximum(within, 0.0) + (shift - mean) * (shift - mean)
    variance = tl.sum(tl.reshape(within, (G, C // G)), 1) / (C // G)
    inverse = 1.0 / tl.sqrt(variance + eps)
    inverse = tl.reshape(tl.broadcast_to(inverse[:, None], (G, C // G)), (C,))
    scale = inverse * tl.load(weight + channel).to(tl.float32)
    shift = tl.load(bias + channel).to(tl.float32) - mean * scale
    made += image.to(tl.int64) * pixels * C
    for start in range(0, PIXELS, ROWS):
        at = piece * PIXELS + start + row
        places = at[:, None] * C + channel[None, :]
        inside = (at < pixels)[:, None]
        value = tl.load(x + places, mask=inside, other=0.0).to(tl.float32)
        value = value * scale[None, :] + shift[None, :]
        value = value / (1.0 + tl.exp(-value))
        tl.store(made + places, value.to(made.dtype.element_ty), mask=inside)


def group_norm_swish(x: Tensor, weight: Tensor, bias: Tensor, groups: int, eps: float) -> Tensor:
    """swish(group_norm(x)), with sums in float32.

    Args:
        x: [B, C, H, W] with channels last in memory.
        weight: [C]; C and C / groups are powers of two.
        bias: [C].
        groups: G.
        eps: added to the variance.

    Returns:
        As `x`.
    """
    batch, channels, height, width = x.shape
    pixels = height * width
    pieces = triton.cdiv(pixels, PIXELS)
    sums = torch.empty(batch, pieces, 2, channels, dtype=torch.float32, device=x.device)
    made = torch.empty_like(x)
    rows = min(PIXELS, TILE // channels)
    _sum[batch, pieces](x, sums, pixels, C=channels, ROWS=rows, PIXELS=PIXELS)
    _apply[batch, pieces](
        x, made, sums, weight, bias, pixels, eps,
        C=channels, G=groups, ROWS=rows, PIXELS=PIXELS,
    )  # fmt: skip
    return made
