"""The draws of K-Means, against those of faiss."""

import faiss
import numpy as np
import pytest
import torch

from tessera.quantize.draws import EPSILON, first_points, split_empty
from tessera.quantize.kmeans import fit_kmeans


@pytest.mark.parametrize(("count", "clusters", "seed"), [(600, 20, 3), (8, 8, 1234), (5000, 1, 0)])
def test_first_points_are_those_of_faiss(count: int, clusters: int, seed: int) -> None:
    """The first of its random permutation, which K-Means draws by the seed after its own."""
    order = np.empty(count, np.int32)
    faiss.rand_perm(faiss.swig_ptr(order), count, seed + 1)
    assert first_points(count, clusters, seed).tolist() == order[:clusters].tolist()


def test_split_by_hand() -> None:
    """Only one cluster has points to give; the halves part by a thousandth, coordinate-wise."""
    centroids = torch.tensor([[1.0, 2.0, 3.0], [7.0, 7.0, 7.0], [4.0, 4.0, 4.0]])
    assert split_empty(centroids, np.array([9, 0, 1])) == 1
    up, down = 1 + EPSILON, 1 - EPSILON
    assert centroids.tolist() == [[down, 2 * up, 3 * down], [up, 2 * down, 3 * up], [4.0] * 3]


def test_nothing_to_split() -> None:
    """Centroids stay as they are."""
    centroids = torch.arange(6.0).view(3, 2)
    assert split_empty(centroids, np.array([1, 2, 3])) == 0
    assert torch.equal(centroids, torch.arange(6.0).view(3, 2))


def test_large_clusters_are_split_first() -> None:
    """200 empty clusters beside one of 10,000 points and 200 of 2: nearly all are halves of it."""
    counts = np.array([10_000] + [2] * 200 + [0] * 200)
    centroids = torch.arange(401.0)[:, None].repeat(1, 2)
    centroids[0] = 1000.0
    assert split_empty(centroids, counts) == 200
    assert (centroids[201:] > 500).float().mean() > 0.8


def test_splits_are_those_of_faiss() -> None:
    """From equal points, several of which are drawn: some clusters stay empty."""
    random = np.random.default_rng(0)
    points = random.normal(size=(40, 4)).astype(np.float32).repeat(random.integers(1, 60, 40), 0)
    ours = fit_kmeans(points, 30, iterations=1, seed=5)
    fit = faiss.Kmeans(
        4, 30, niter=1, seed=5, min_points_per_centroid=1, max_points_per_centroid=1000
    )
    fit.train(points)
    assert ours.splits[0] > 5
    assert ours.splits.tolist() == [step["nsplit"] for step in fit.iteration_stats]
    np.testing.assert_allclose(ours.centroids, fit.centroids, rtol=0, atol=1e-4)
