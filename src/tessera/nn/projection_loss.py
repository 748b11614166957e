"""Output layer and cross-entropy in one: the logits of all positions never exist at once.

For 65,536 positions and 8,197 symbols they would take 2 GB, and their gradient as much. Here the
positions go through in pieces; each piece gives its loss and, at once, its gradients for the hidden
states and the weight, so that nothing of a piece is kept (as in Liger Kernel, arXiv:2410.10989,
section 3.2). The plain form is `tessera.nn.loss.symbol_cross_entropy` of the logits.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

PIECE = {"cpu": 2**21, "cuda": 2**26}
"""Logits at once: what stays near a processor's caches; what keeps a GPU busy."""

ALIGNMENT = {"cpu": 1, "cuda": 64}
"""Symbols are padded to a multiple of it: tensor cores want rows that begin at 16 bytes, and 8,197
is odd."""


def projected_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    label_smoothing: float = 0.0,
    selected: Tensor | None = None,
) -> Tensor:
    """Mean smoothed cross-entropy in nats of the logits hidden @ weight.T.

    As `symbol_cross_entropy` of these logits. Matrix products have the type of autocast where it is
    on, else that of `hidden`; all else, and sums over the pieces, at least float32.

    Args:
        hidden: [..., D].
        weight: [V, D].
        targets: Long [...], in 0..V-1.
        label_smoothing: In [0, 1].
        selected: Bool [...]: the positions that count; all of them if absent. At least one must.

    Returns:
        A scalar, which can be differentiated once.
    """
    device = hidden.device.type
    autocast = torch.is_autocast_enabled(device)
    dtype = torch.get_autocast_dtype(device) if autocast else hidden.dtype
    rows, ids = hidden.flatten(0, -2), targets.flatten()
    counted = None if selected is None else selected.flatten()
    options = (ids, counted, label_smoothing, dtype)
    with torch.autocast(device, enabled=False):
        if torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad):
            total: Tensor = _Fused.apply(rows, weight, *options)
        else:
            total, _, _ = _walk(rows, weight, *options, differentiate=False)
    # A count on the device: to ask for it would make the host wait.
    return total / (len(rows) if counted is None else counted.sum())


class _Fused(torch.autograd.Function):
    """The sum over positions; its gradients are made with it."""

    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        weight: Tensor,
        ids: Tensor,
        counted: Tensor | None,
        smoothing: float,
        dtype: torch.dtype,
    ) -> Tensor:
        total, for_rows, for_weight = _walk(rows, weight, ids, counted, smoothing, dtype, True)
        ctx.save_for_backward(for_rows, for_weight)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        for_rows, for_weight = ctx.saved_tensors
        # In float32 times a scalar on the device: a mean's 1/N would underflow in half precision.
        return for_rows * gradient, for_weight * gradient, None, None, None, None


def _walk(
    rows: Tensor,
    weight: Tensor,
    ids: Tensor,
    counted: Tensor | None,
    smoothing: float,
    dtype: torch.dtype,
    differentiate: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """The loss summed over rows [N, D] and, if asked for, its gradients [N, D] and [V, D]."""
    symbols, device = len(weight), rows.device.type
    total = weight.new_zeros((), dtype=_at_least_float32(dtype))
    for_rows = torch.empty_like(rows) if differentiate else rows
    table = F.pad(weight.to(dtype), (0, 0, 0, -symbols % ALIGNMENT[device]))  # (V', D)
    sums = torch.zeros_like(table, dtype=total.dtype) if differentiate else table
    pieces = max(1, -(-len(rows) * len(table) // PIECE[device]))  # of equal size, but for the last
    size = -(-len(rows) // pieces)
    for first in range(0, len(rows), size):
        piece = slice(first, first + size)
        x = rows[piece].to(dtype)
        within = None if counted is None else counted[piece]
        scores = (x @ table.T).to(total.dtype)
        scores[:, symbols:] = -torch.inf  # no symbols: their share is 0
        log_p = scores.log_softmax(1)  # (C, V')
        total += _losses(log_p[:, :symbols], ids[piece], within, smoothing)
        if differentiate:
            gradient = _gradient(log_p, ids[piece], within, smoothing, symbols).to(dtype)
            for_rows[piece] = gradient @ table
            if sums.dtype == dtype:
                sums.addmm_(gradient.T, x)
            else:
                sums += gradient.T @ x
    return total, for_rows, sums[:symbols].to(weight.dtype)


def _losses(log_p: Tensor, ids: Tensor, counted: Tensor | None, smoothing: float) -> Tensor:
    """The loss summed over the positions that count, from log probabilities [C, V]."""
    losses = (smoothing - 1) * log_p.gather(1, ids[:, None])[:, 0]
    if smoothing:
        losses = losses - smoothing * log_p.mean(1)
    return losses.sum() if counted is None else (losses * counted).sum()


def _gradient(
    log_p: Tensor, ids: Tensor, counted: Tensor | None, smoothing: float, symbols: int
) -> Tensor:
    """The gradient of `_losses` for the logits [C, V'], in the place of their log probabilities.

    p - e/V, and at the target (1 - e) less. Columns beyond V get -e/V too, to no effect: the rows
    of the weight that they meet are 0.
    """
    gradient = log_p.exp_()
    if smoothing:
        gradient -= smoothing / symbols
    target = ids[:, None]
    gradient.scatter_(1, target, gradient.gather(1, target) - (1 - smoothing))
    return gradient if counted is None else gradient.mul_(counted[:, None])


def _at_least_float32(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)
