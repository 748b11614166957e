"""Plain Lloyd iterations in numpy: the slow version that the fast ones are tested against."""

import numpy as np
from numpy.typing import NDArray


def lloyd(
    points: NDArray[np.float64], centroids: NDArray[np.float64], iterations: int
) -> tuple[NDArray[np.float64], list[float]]:
    """Lloyd's algorithm from given centroids; a cluster without points keeps its place.

    Args:
        points: [N, d].
        centroids: [K, d], where to begin.
        iterations: rounds of assignment and update.

    Returns:
        centroids [K, d] and, per round, the sum of squared distances before its update.
    """
    centroids = centroids.astype(np.float64).copy()
    objective = []
    for _ in range(iterations):
        nearest, distances = assign(points, centroids)
        objective.append(float(distances.sum()))
        for cluster in np.unique(nearest):
            centroids[cluster] = points[nearest == cluster].mean(axis=0)
    return centroids, objective


def assign(
    points: NDArray[np.float64], centroids: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The nearest centroid of each point [N] and the squared distance to it [N]."""
    difference = points[:, None].astype(np.float64) - centroids[None].astype(np.float64)
    distances = (difference**2).sum(axis=2)  # (N, K)
    return distances.argmin(axis=1), distances.min(axis=1)
