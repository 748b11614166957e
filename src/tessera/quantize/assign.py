"""Nearest centroids: the rule that turns features into tokens."""

import torch
from torch import Tensor

# Points at a time: at 16,384 centroids the table of distances stays at 512 MiB.
CHUNK = 8192


def nearest(features: Tensor, centroids: Tensor, chunk: int = CHUNK) -> Tensor:
    """The nearest centroid of each feature: argmin over c of |f|^2 - 2 f.c + |c|^2, in float32.

    Args:
        features: [B, d], any floating type.
        centroids: [K, d], on the same device.
        chunk: features whose distances are held at the same time; changes no result.

    Returns:
        int64 [B]; the lowest index among equals.
    """
    table = centroids.float()
    norms = table.square().sum(1)  # (K,)
    tokens = torch.empty(features.shape[0], dtype=torch.long, device=features.device)
    with torch.autocast(features.device.type, enabled=False):
        for start in range(0, features.shape[0], chunk):
            f = features[start : start + chunk].float()  # (b, d)
            distances = f.square().sum(1, keepdim=True) - 2 * f @ table.T + norms  # (b, K)
            tokens[start : start + chunk] = distances.argmin(1)
    return tokens
