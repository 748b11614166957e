"""Nearest training images of samples, in an extractor's feature space: has the model copied?

Exact search in chunks; distances are computed difference by difference, since the expanded form
|a|^2 - 2ab + |b|^2 cancels just where copies are (distances near 0).
Shapes: N samples, M training images, D features, k neighbours.
"""

import torch
from torch import Tensor

from tessera.errors import UserError


def nearest_neighbours(
    samples: Tensor, reference: Tensor, k: int = 1, chunk: int = 256
) -> tuple[Tensor, Tensor]:
    """The k nearest rows of `reference` for each row of `samples`.

    Args:
        samples: features [N, D].
        reference: features [M, D], on the same device.
        k: neighbours, 1 <= k <= M.
        chunk: samples at a time; memory is chunk * M distances.

    Returns:
        Euclidean distances [N, k], nearest first, and int64 indices [N, k] into `reference`;
        of equal distances the lower index first.

    Raises:
        UserError: a set is empty, or k is out of range.
    """
    if len(samples) == 0 or not 1 <= k <= len(reference):
        raise UserError(
            f"cannot find {k} neighbours of {len(samples)} samples among {len(reference)} images: "
            "give samples, and ask for between 1 neighbour and the number of images"
        )
    distances, indices = [], []
    for part in samples.split(chunk):
        all_pairs = torch.cdist(part, reference, compute_mode="donot_use_mm_for_euclid_dist")
        values, order = all_pairs.sort(dim=1, stable=True)
        distances.append(values[:, :k])
        indices.append(order[:, :k])
    return torch.cat(distances), torch.cat(indices)
