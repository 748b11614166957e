"""Fitting K-Means."""

import math
import warnings

import numpy as np
import pytest

from tessera.errors import UserError
from tessera.quantize.kmeans import check_finite, fit_kmeans, usage_entropy
from tessera.quantize.oracle import assign, lloyd


def blobs(count: int = 600, seed: int = 0) -> np.ndarray:
    """Points in 5 dimensions about 6 centres."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(6, 5)) * 4
    return (centres[random.integers(6, size=count)] + random.normal(size=(count, 5))).astype("f4")


def test_objective_never_rises() -> None:
    """Each iteration's sum of squared distances is at most the one before."""
    fit = fit_kmeans(blobs(), 12, iterations=5)
    assert not fit.splits.any()
    assert fit.objective.shape == (5,)
    assert fit.objective[-1] < 0.9 * fit.objective[0]
    assert (np.diff(fit.objective) <= 1e-6 * fit.objective[0]).all()
    assert fit.inertia <= fit.objective[-1] * (1 + 1e-6)


def test_fit_goes_on_from_its_first_iteration_as_plain_lloyd_does() -> None:
    """From the centroids after one iteration, the plain version reaches the same ones."""
    points = blobs()
    start = fit_kmeans(points, 7, iterations=1)
    fit = fit_kmeans(points, 7, iterations=5)
    assert not fit.splits.any()
    centroids, objective = lloyd(points, start.centroids, 4)
    np.testing.assert_allclose(fit.centroids, centroids, rtol=0, atol=1e-4)
    np.testing.assert_allclose(fit.objective[1:], objective, rtol=1e-5)


def test_counts_and_inertia_are_those_of_the_final_centroids() -> None:
    """A plain assignment gives the same counts and the same sum of squared distances."""
    points = blobs()
    fit = fit_kmeans(points, 9)
    nearest, distances = assign(points, fit.centroids)
    assert fit.counts.tolist() == np.bincount(nearest, minlength=9).tolist()
    assert fit.inertia == pytest.approx(distances.sum(), rel=1e-5)
    assert fit.centroids.dtype == np.float32


def test_all_points_are_used() -> None:
    """Faiss would sample 256 points a centroid; here one cluster's centroid is the mean of all."""
    points = blobs(count=3000)
    fit = fit_kmeans(points, 1, iterations=1)
    np.testing.assert_allclose(fit.centroids[0], points.mean(0, dtype=np.float64), atol=1e-4)
    assert fit.counts.tolist() == [3000]


def test_no_point_is_dropped_beyond_256_a_centroid(capfd: pytest.CaptureFixture[str]) -> None:
    """At 750 points a centroid faiss says nothing of a sample, and plain Lloyd over all agrees."""
    points = blobs(count=6000)
    start = fit_kmeans(points, 8, iterations=1)
    fit = fit_kmeans(points, 8, iterations=4)
    assert len(points) > 256 * 8
    assert fit.counts.sum() == len(points)
    assert not fit.splits.any()
    centroids, objective = lloyd(points, start.centroids, 3)
    np.testing.assert_allclose(fit.centroids, centroids, rtol=0, atol=1e-4)
    np.testing.assert_allclose(fit.objective[1:], objective, rtol=1e-5)
    said = capfd.readouterr()
    assert said.out + said.err == ""


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts and inertia do not depend on how many points are looked at together."""
    points = blobs(count=1000)
    whole = fit_kmeans(points, 9)
    monkeypatch.setattr("tessera.quantize.kmeans.BLOCK", 64)
    cut = fit_kmeans(points, 9)
    assert np.array_equal(cut.counts, whole.counts)
    assert cut.inertia == pytest.approx(whole.inertia, rel=1e-6)
    assert np.array_equal(cut.centroids, whole.centroids)


def test_same_seed_same_centroids() -> None:
    """The seed decides; another one begins elsewhere."""
    first, again, other = (fit_kmeans(blobs(), 12, seed=s) for s in (3, 3, 4))
    assert np.array_equal(first.centroids, again.centroids)
    assert not np.array_equal(first.centroids, other.centroids)


def test_as_many_clusters_as_points() -> None:
    """The smallest set that is allowed: each point is its own centroid, without a warning."""
    points = blobs(count=8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = fit_kmeans(points, 8, iterations=2)
    assert fit.inertia == pytest.approx(0, abs=1e-3)
    assert fit.counts.tolist() == [1] * 8
    assert fit.usage_bits == pytest.approx(3.0)


def test_empty_and_small_clusters_are_counted() -> None:
    """Two distinct values cannot fill four clusters."""
    points = np.repeat(np.array([[0.0, 0.0], [1.0, 1.0]], dtype=np.float32), [30, 10], axis=0)
    fit = fit_kmeans(points, 4, iterations=5)
    assert fit.counts.sum() == 40
    assert fit.empty == (fit.counts == 0).sum() > 0
    assert fit.small(fewer_than=1) == fit.empty
    assert fit.small(fewer_than=41) == 4


@pytest.mark.parametrize(
    ("counts", "bits"),
    [([4, 4, 4, 4], 2.0), ([8, 0, 0], 0.0), ([2, 1, 1], 1.5), ([3, 1], 2 - 0.75 * math.log2(3))],
)
def test_usage_entropy(counts: list[int], bits: float) -> None:
    """The entropy of the shares, in bits."""
    assert usage_entropy(np.array(counts)) == pytest.approx(bits)


def test_fewer_points_than_clusters() -> None:
    """Too few points are the user's error."""
    with pytest.raises(UserError, match="got 5 points for 6 clusters"):
        fit_kmeans(blobs(count=5), 6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(bad: float) -> None:
    """NaN and infinity are refused with their place."""
    points = blobs(count=50)
    points[[7, 20], 3] = bad
    with pytest.raises(UserError, match="2 of 50 feature points, first in point 7, channel 3"):
        fit_kmeans(points, 4)


@pytest.mark.parametrize("block", [1, 7, 8, 21, 1000])
def test_values_that_are_not_finite_in_any_block(block: int) -> None:
    """The place is that in the whole set."""
    points = blobs(count=50)
    points[[7, 20], 3] = np.nan
    with pytest.raises(UserError, match="2 of 50 feature points, first in point 7, channel 3"):
        check_finite(points, block)


def test_points_of_another_shape() -> None:
    """Points must be a matrix."""
    with pytest.raises(ValueError, match="N, d"):
        fit_kmeans(np.zeros((4, 2, 2), dtype=np.float32), 2)
