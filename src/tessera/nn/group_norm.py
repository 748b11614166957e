"""Group norm followed by swish, as one operation where a GPU computes in half precision.

Group norm: Wu and He (arXiv:1803.08494). torch's own on a GPU turns maps with channels last into
ones with channels first, which the next convolution turns back: with the two reads of the norm and
the pass of the swish eight passes over memory, about as long as the convolution between them takes.
"""

import logging
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

log = logging.getLogger(__name__)

MOST_CHANNELS = 4096
"""Of which the kernel's smallest tile, that of one pixel, still fits a program."""

Fused = Callable[[Tensor, Tensor, Tensor, int, float], Tensor]


def norm_swish(norm: nn.GroupNorm, x: Tensor) -> Tensor:
    """swish(norm(x)) of [B, C, H, W]."""
    if x.is_cuda and x.dtype.itemsize == 2 and not torch.is_grad_enabled():
        last = x.is_contiguous(memory_format=torch.channels_last)
        fused = _fused() if last and fits(norm) else None
        if fused is not None:
            return fused(x, norm.weight, norm.bias, norm.num_groups, norm.eps)
    return F.silu(norm(x))


def fits(norm: nn.GroupNorm) -> bool:
    """Whether the fused kernel can: channels, and those of a group, are powers of two, not many."""
    return norm.num_channels <= MOST_CHANNELS and all(
        number & (number - 1) == 0
        for number in (norm.num_channels, norm.num_channels // norm.num_groups)
    )


@cache
def _fused() -> Fused | None:
    """The fused kernel, once it has computed something; None where Triton cannot."""
    try:
        from tessera.nn.group_norm_kernel import group_norm_swish

        x = torch.zeros(1, 2, 1, 1, dtype=torch.bfloat16, device="cuda")
        group_norm_swish(x, x.new_ones(2), x.new_zeros(2), 1, 1.0)
    except Exception as error:  # no Triton, no compiler for its launchers, an unknown GPU
        log.info("norm and swish are not fused: %s", error)
        return None
    return group_norm_swish
