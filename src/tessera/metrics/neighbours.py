"""The images of a stream that are nearest to some others, kept as it passes.

Whether a generator copies is looked at by the training images nearest to its samples, in the
feature space of Inception (Ho et al., arXiv:2006.11239, appendix D; Dhariwal and Nichol,
arXiv:2105.05233, appendix C). The distance is Euclidean unless asked otherwise: the one by which
precision and recall tell near from far over the same features (Kynkäänniemi et al.,
arXiv:1904.06991). Cosine distance, as copy detection compares its own descriptors (Somepalli et
al., arXiv:2212.03860), leaves the length of the features out.

Shapes: Q queries, N images, B batch, D features, k neighbours.
"""

import hashlib

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from tessera.config.neighbours import Distance

ROWS = 4096
"""Queries at once: with 256 images their distances take 8 MB."""

PERCENTILES = (0, 1, 5, 25, 50, 75, 95, 99, 100)
NEAR = 1
"""Percentile of the distances of unseen images: what lies nearer counts as near."""

NOBODY = -1
"""The number in a place that no image took."""


class Nearest:
    """The nearest images to each query, whatever their number: memory is that of Q and one batch.

    Distances are float64: in float32 the product of two matrices, which is 40 times as fast as
    differences, would leave nothing but rounding of those that are near.

    Args:
        queries: [Q, D]; the search computes where they are.
        count: neighbours to keep.
        metric: "euclidean", or "cosine" for 1 less the cosine.
    """

    def __init__(self, queries: Tensor, count: int, metric: Distance = "euclidean") -> None:
        self._metric = metric
        self._queries = self._prepared(queries)
        shape, device = (len(queries), count), queries.device
        self._distances = torch.full(shape, torch.inf, dtype=torch.float64, device=device)
        self._numbers = torch.full(shape, NOBODY, dtype=torch.int64, device=device)

    def _prepared(self, features: Tensor) -> Tensor:
        features = features.double()
        return normalize(features) if self._metric == "cosine" else features

    def add(self, features: Tensor, numbers: Tensor) -> None:
        """Takes the next images.

        Args:
            features: [B, D].
            numbers: int64 [B], by which the images are told apart.
        """
        device, count = self._queries.device, self._distances.shape[1]
        features, numbers = self._prepared(features.to(device)), numbers.to(device)
        for start in range(0, len(self._queries), ROWS):
            rows = slice(start, start + ROWS)
            distances = self._between(self._queries[rows], features)
            distances = torch.cat([self._distances[rows], distances], dim=1)
            known = numbers.expand(len(distances), -1)
            known = torch.cat([self._numbers[rows], known], dim=1)
            # Stable: of equal distances the image that came first stays.
            best = distances.sort(dim=1, stable=True)
            self._distances[rows] = best.values[:, :count]
            self._numbers[rows] = known.gather(1, best.indices[:, :count])

    def _between(self, queries: Tensor, features: Tensor) -> Tensor:
        products = queries @ features.T
        if self._metric == "cosine":
            return (1 - products).clamp_min(0)
        squares = queries.square().sum(1)[:, None] + features.square().sum(1)
        found = squares - 2 * products
        # Below the bound of its rounding a difference of such large numbers is nothing.
        rounding = features.shape[1] * torch.finfo(found.dtype).eps
        return torch.where(found > rounding * squares, found, 0).sqrt()

    def found(self) -> tuple[np.ndarray, np.ndarray]:
        """The neighbours of each query, the nearest first.

        Returns:
            Distances, float64 [Q, k], infinite where there were fewer images; and the images'
            numbers, int64 [Q, k], `NOBODY` there.
        """
        return self._distances.cpu().numpy(), self._numbers.cpu().numpy()


class Copies:
    """Images of a set whose pixels are, to the last bit, those of some image of a stream."""

    def __init__(self) -> None:
        self._places: dict[bytes, list[int]] = {}
        self._length = 0
        self._equal: set[int] = set()

    def expect(self, images: Tensor) -> None:
        """Takes the next images of the set, uint8 [n, 3, H, W]."""
        for image in images:
            self._places.setdefault(_digest(image), []).append(self._length)
            self._length += 1

    def add(self, images: Tensor) -> None:
        """Takes the next images of the stream, uint8 [B, 3, H, W]."""
        for image in images:
            self._equal.update(self._places.get(_digest(image), ()))

    def found(self) -> np.ndarray:
        """Places, in the set, of the images that came in the stream too: int64, ascending."""
        return np.array(sorted(self._equal), np.int64)


def _digest(image: Tensor) -> bytes:
    return hashlib.blake2b(image.contiguous().numpy().tobytes(), digest_size=16).digest()


def percentiles(distances: np.ndarray) -> dict[str, float]:
    """Percentiles of distances [N]; "p50" is the median."""
    values = np.percentile(distances, PERCENTILES)
    return {f"p{level}": float(value) for level, value in zip(PERCENTILES, values, strict=True)}
