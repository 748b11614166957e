"""The losses of self-distillation: targets from a teacher, cross entropy of a student.

Papers: DINO (arXiv 2104.14294), iBOT (arXiv 2111.07832); balanced targets by Sinkhorn-Knopp from
SwAV (arXiv 2006.09882), which DINOv2 takes in place of centring. Legend: n rows, P prototypes.
"""

import torch
from torch import Tensor


@torch.no_grad()
def sinkhorn(scores: Tensor, temperature: float, iterations: int = 3) -> Tensor:
    """Turns a teacher's scores into targets that use all prototypes equally.

    Rows and columns of exp(scores / temperature) are scaled in turn, columns to n/P in sum, rows
    to 1 (the last step). It takes the place of centring: a collapse onto one prototype is no
    fixed point.

    Args:
        scores: [n, P].
        temperature: of the teacher.
        iterations: rounds of scaling.

    Returns:
        [n, P], non-negative, rows sum to 1.
    """
    log = scores.float() / temperature
    for _ in range(iterations):  # in logarithms: no overflow at low temperatures
        log = log - torch.logsumexp(log, dim=0, keepdim=True)
        log = log - torch.logsumexp(log, dim=1, keepdim=True)
    return log.exp()


def cross_entropy(targets: Tensor, scores: Tensor, temperature: float) -> Tensor:
    """-sum_p targets[n, p] log softmax(scores / temperature)[n, p] of each row: [n]."""
    return -(targets * torch.log_softmax(scores.float() / temperature, dim=-1)).sum(-1)


def random_masks(
    count: int, tokens: int, share: tuple[float, float], probability: float, device: torch.device
) -> Tensor:
    """Patches to hide from the student, at random places.

    Args:
        count: images.
        tokens: patches an image.
        share: smallest and largest share of hidden patches of a masked image, drawn uniformly.
        probability: share of images that are masked at all.
        device: where.

    Returns:
        bool [count, tokens]; a masked image hides at least one patch and shows at least one.
    """
    low, high = share
    hidden = (low + (high - low) * torch.rand(count, 1, device=device)) * tokens
    hidden = hidden.round().clamp(1, tokens - 1)
    masked = torch.rand(count, 1, device=device) < probability
    rank = torch.rand(count, tokens, device=device).argsort(1).argsort(1)
    return (rank < hidden) & masked


def masked_mean(losses: Tensor, mask: Tensor) -> Tensor:
    """Mean over the images of the mean loss over their chosen patches (iBOT, eq. 2).

    Args:
        losses: [B, T].
        mask: bool [B, T], the chosen patches.

    Returns:
        A scalar over the images with a chosen patch; 0 where there is none.
    """
    chosen = mask.sum(1)  # (B,)
    each = (losses * mask).sum(1) / chosen.clamp(min=1)
    return each.sum() / (chosen > 0).sum().clamp(min=1)


def entropy(probabilities: Tensor) -> Tensor:
    """Mean entropy in nats of probability rows [n, P]: 0 to log P."""
    return -torch.xlogy(probabilities, probabilities).sum(-1).mean()
