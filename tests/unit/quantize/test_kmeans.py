"""Fitting K-Means."""

import math
import warnings
from pathlib import Path

import faiss
import numpy as np
import pytest
import torch

from tessera.errors import UserError
from tessera.quantize.kmeans import check_finite, fit_kmeans, usage_entropy
from tessera.quantize.oracle import assign, lloyd
from tessera.quantize.sizes import PAGE_BYTES


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


def test_same_as_faiss_from_the_same_points() -> None:
    """Which draws the same points by the seed: each round's objective, and the centroids."""
    points = blobs(count=6000)
    ours = fit_kmeans(points, 8, iterations=4, seed=7)
    fit = faiss.Kmeans(5, 8, niter=4, seed=7, max_points_per_centroid=1000)
    fit.train(points)
    np.testing.assert_allclose(ours.centroids, fit.centroids, rtol=0, atol=1e-4)
    np.testing.assert_allclose(ours.objective, [it["obj"] for it in fit.iteration_stats], rtol=1e-5)


def test_pages_change_nothing_but_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Points are counted and summed page by page."""
    points = blobs(count=1000)
    whole = fit_kmeans(points, 9)
    monkeypatch.setitem(PAGE_BYTES, "cpu", 64 * 5 * 4)
    cut = fit_kmeans(points, 9)
    assert np.array_equal(cut.counts, whole.counts)
    assert cut.inertia == pytest.approx(whole.inertia, rel=1e-6)
    np.testing.assert_allclose(cut.centroids, whole.centroids, rtol=0, atol=1e-5)


def test_points_of_16_bits() -> None:
    """Are what they are in float32, and are not changed."""
    points = blobs().astype(np.float16)
    before = points.copy()
    half, single = fit_kmeans(points, 7), fit_kmeans(points.astype(np.float32), 7)
    assert np.array_equal(half.centroids, single.centroids)
    assert half.inertia == single.inertia
    assert np.array_equal(points, before)


def test_points_of_a_file_that_is_read_only(tmp_path: Path) -> None:
    """Mapped, not read whole."""
    np.save(tmp_path / "points.npy", blobs())
    found = fit_kmeans(np.load(tmp_path / "points.npy", mmap_mode="r"), 7)
    assert np.array_equal(found.centroids, fit_kmeans(blobs(), 7).centroids)


def test_it_ends_where_nothing_moves() -> None:
    """And says so by fewer rounds; what it counted is what another round would count."""
    points = blobs()
    fit = fit_kmeans(points, 6, iterations=300)
    assert len(fit.objective) == len(fit.splits) < 300
    assert fit.inertia == fit.objective[-1]
    more, _ = lloyd(points, fit.centroids, 1)
    np.testing.assert_allclose(more, fit.centroids, rtol=0, atol=1e-5)


def test_threads_change_nothing() -> None:
    """Each block of points is computed by one thread, whichever."""
    before = torch.get_num_threads()
    points = np.random.default_rng(0).standard_normal((20_000, 16), np.float32)
    found = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(fit_kmeans(points, 300, iterations=3))
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(found[0].centroids, found[1].centroids)
    assert np.array_equal(found[0].counts, found[1].counts)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("keep", [False, True])
def test_a_gpu_finds_what_the_cpu_finds(
    monkeypatch: pytest.MonkeyPatch, dtype: type, keep: bool
) -> None:
    """Twice the same bits; the CPU's within rounding, whether the points stay there or not."""
    monkeypatch.setattr("tessera.quantize.kmeans.has_room", lambda *sizes: keep)
    monkeypatch.setitem(PAGE_BYTES, "cuda", 128 * 5 * 4)
    points = blobs(count=5000).astype(dtype)
    first, again = (fit_kmeans(points, 6, 8, device="cuda") for _ in range(2))
    assert np.array_equal(first.centroids, again.centroids)
    expected = fit_kmeans(points, 6, 8)
    assert first.counts.tolist() == expected.counts.tolist()
    np.testing.assert_allclose(first.centroids, expected.centroids, rtol=0, atol=1e-4)
    assert first.inertia == pytest.approx(expected.inertia, rel=1e-5)


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
