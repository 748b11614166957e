"""What K-Means draws: where it begins, and which clusters it splits. Both as faiss 1.15 does.

So a seed means the same in both, and runs of one can be compared with runs of the other.
"""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

EPSILON = 1 / 1024
"""How far apart the halves of a cluster begin, relative to each coordinate."""
SPLIT_SEED = 1234


def first_points(count: int, clusters: int, seed: int) -> NDArray[np.int64]:
    """Different points to begin from: the start of a random permutation.

    Args:
        count: points, N.
        clusters: how many are drawn, at most N.
        seed: not negative.

    Returns:
        int64 [clusters], each below `count`.
    """
    draws = _generator(seed + 1).randint(0, 2**32, size=clusters, dtype=np.uint32)
    moved: dict[int, int] = {}  # Fisher and Yates's shuffle, of which the places touched are kept
    chosen = np.empty(clusters, np.int64)
    for place, draw in enumerate(draws.tolist()):
        other = place + draw % (count - place)
        chosen[place] = moved.get(other, other)
        moved[other] = moved.get(place, place)
    return chosen


def split_empty(centroids: Tensor, counts: NDArray[np.int64]) -> int:
    """Moves the centroids of empty clusters beside those of others, which are drawn by their size.

    Args:
        centroids: float32 [K, d]; changed in place.
        counts: int64 [K], points of each.

    Returns:
        How many were moved.
    """
    clusters = len(counts)
    sizes = counts.astype(np.float32)
    others = np.float32(counts.sum() - clusters)
    empty = np.flatnonzero(counts == 0)
    generator = _generator(SPLIT_SEED)
    draws = np.empty(0, np.float32)
    for cluster in empty:
        # Goes round the clusters, a draw for each, until one is below the cluster's share.
        while True:
            if len(draws) < clusters:
                more = generator.randint(0, 2**32, size=clusters, dtype=np.uint32)
                draws = np.concatenate([draws, more.astype(np.float32) / np.float32(2**32)])
            hits = np.flatnonzero(draws[:clusters] * others < sizes - 1)
            if hits.size:
                break
            draws = draws[clusters:]
        large, draws = hits[0], draws[hits[0] + 1 :]
        whole = centroids[large].clone()
        for half, sign in ((cluster, 1), (large, -1)):
            centroids[half, 0::2] = whole[0::2] * (1 + sign * EPSILON)
            centroids[half, 1::2] = whole[1::2] * (1 - sign * EPSILON)
        sizes[cluster] = sizes[large] / 2
        sizes[large] -= sizes[cluster]
    return len(empty)


def _generator(seed: int) -> np.random.RandomState:
    """The Mersenne Twister of C++'s `std::mt19937`, which numpy's legacy generator is."""
    return np.random.RandomState(seed % 2**32)
