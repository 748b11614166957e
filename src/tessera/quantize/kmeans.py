"""K-Means over features, by faiss, with nothing left silent.

faiss on its own samples the points down to 256 a centroid and only warns on the terminal; here all
points that come in are used, so whoever calls decides the sample.
"""

import math
from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

from tessera.errors import UserError

BLOCK = 2**15
"""Points looked at together where a table as long as the points would be a second copy of them."""


@dataclass(frozen=True)
class KMeansResult:
    """Fitted centroids and what tells whether the fit is healthy.

    Attributes:
        centroids: float32 [K, d].
        objective: float64 [rounds], sum of squared distances at each iteration's assignment; fewer
            rounds than asked for where nothing moves any more.
        counts: int64 [K], points whose nearest of the final centroids is this one.
        inertia: sum of squared distances to the final centroids.
        splits: int64 [rounds], empty clusters that faiss refilled by splitting a large one.
    """

    centroids: NDArray[np.float32]
    objective: NDArray[np.float64]
    counts: NDArray[np.int64]
    inertia: float
    splits: NDArray[np.int64]

    @property
    def usage_bits(self) -> float:
        """Entropy of the cluster sizes in bits; log2(K) if all are equally large."""
        return usage_entropy(self.counts)

    @property
    def empty(self) -> int:
        """Clusters that no point falls into."""
        return int((self.counts == 0).sum())

    def small(self, fewer_than: int) -> int:
        """Clusters with fewer points than this, the empty ones among them."""
        return int((self.counts < fewer_than).sum())


def usage_entropy(counts: NDArray[np.int64]) -> float:
    """Entropy in bits of how often each entry is used; 2 to its power is the perplexity."""
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log2(share)).sum()) + 0.0  # + 0.0 turns -0.0 into 0.0


def count_gpus() -> int:
    """GPUs that faiss sees: 0 for the package faiss-cpu, whatever the machine has."""
    return int(getattr(faiss, "get_num_gpus", lambda: 0)())


def fit_kmeans(
    points: NDArray[np.float32],
    clusters: int,
    iterations: int = 20,
    seed: int = 1234,
    gpu: bool | None = None,
) -> KMeansResult:
    """Lloyd's algorithm from `clusters` distinct random points.

    Args:
        points: float32 [N, d]; all of them are used, and none is copied if they are contiguous.
        clusters: centroids, K.
        iterations: rounds of assignment and update, at most.
        seed: chooses the first centroids; 1234 is faiss's own default.
        gpu: run on all GPUs that faiss sees; None means whether it sees any.

    Raises:
        UserError: fewer points than clusters, or a value that is not finite.
    """
    points = np.ascontiguousarray(points, dtype=np.float32)
    if points.ndim != 2:
        raise ValueError(f"points must be [N, d], got {points.shape}")
    count, width = points.shape
    if count < clusters:
        raise UserError(
            f"K-Means got {count} points for {clusters} clusters: keep more feature points or ask "
            "for fewer clusters"
        )
    check_finite(points)
    if gpu is None:
        gpu = count_gpus() > 0
    fit = faiss.Kmeans(
        width,
        clusters,
        niter=iterations,
        seed=seed,
        gpu=gpu,
        min_points_per_centroid=1,
        # Above clusters x this, faiss would draw a sample: so it never does.
        max_points_per_centroid=math.ceil(count / clusters),
    )
    fit.train(points)
    steps = fit.iteration_stats or []
    counts, inertia = np.zeros(clusters, np.int64), 0.0
    for start in range(0, count, BLOCK):
        squared, nearest = fit.index.search(points[start : start + BLOCK], 1)
        counts += np.bincount(nearest[:, 0], minlength=clusters)
        inertia += float(squared.sum(dtype=np.float64))
    return KMeansResult(
        centroids=np.asarray(fit.centroids, dtype=np.float32).reshape(clusters, width),
        objective=np.array([step["obj"] for step in steps], dtype=np.float64),
        counts=counts,
        inertia=inertia,
        splits=np.array([step["nsplit"] for step in steps], dtype=np.int64),
    )


def check_finite(points: NDArray[np.float32], block: int = BLOCK) -> None:
    """Refuses NaN and infinity.

    Args:
        points: [N, d].
        block: points looked at together; changes no result.

    Raises:
        UserError: names the first point that holds one, and how many do.
    """
    broken, first = 0, -1
    for start in range(0, len(points), block):
        rows = np.flatnonzero(~np.isfinite(points[start : start + block]).all(axis=1))
        if rows.size and first < 0:
            first = start + int(rows[0])
        broken += rows.size
    if broken:
        column = int(np.flatnonzero(~np.isfinite(points[first]))[0])
        raise UserError(
            f"K-Means got NaN or infinity in {broken} of {len(points)} feature points, first "
            f"in point {first}, channel {column}: check the encoder's weights, or extract the "
            "features in float32"
        )
