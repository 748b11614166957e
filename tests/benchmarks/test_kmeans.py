"""The benchmark of K-Means: its arithmetic, and a run at a tiny size."""

import math

import numpy as np
import pytest
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import kmeans
from tessera.quantize.kmeans import KMeansResult, fit_kmeans
from tessera.quantize.oracle import assign

TINY = kmeans.Size(points=400, width=6, clusters=5, iterations=2)


def fitted(objective: list[float], inertia: float) -> KMeansResult:
    """What a fit says of its rounds."""
    nothing = np.zeros(0, np.int64)
    return KMeansResult(
        np.zeros((0, 0), np.float32), np.array(objective), nothing, inertia, nothing
    )


def test_operations_by_hand():
    """Two a multiplication with its sum; two rounds, and the last assignment."""
    fit = fitted([3.0, 2.0], 1.0)
    assert TINY.flops(fit) == 2 * 400 * 6 * 5 * 3
    assert TINY.work(fit) == 400 * 2
    assert kmeans.FULL.flops(fitted([2.0] * 20, 1.0)) == 21 * 2 * 2_097_152 * 8192 * 768


def test_rounds_that_did_not_happen_do_not_count():
    """Nor the last assignment, which a fit that ended early has from its last round."""
    size = kmeans.Size(points=400, width=6, clusters=5, iterations=40)
    fit = fitted([3.0, 2.0, 2.0], 2.0)
    assert size.work(fit) == 400 * 3
    assert size.flops(fit) == 2 * 400 * 6 * 5 * 3
    assert size.rounds(fit) == "3 of 40 rounds"


def test_inertia_by_hand():
    """Against the plain version."""
    points = kmeans.points_of(TINY)
    centroids = points[:5].copy()
    _, squared = assign(points, centroids)
    assert kmeans.inertia(points, centroids) == pytest.approx(squared.sum(), rel=1e-5)


def test_a_tiny_run(monkeypatch):
    """Finite figures, and the objective of faiss."""
    monkeypatch.setattr(kmeans, "SIZES", (TINY,))
    monkeypatch.setattr(kmeans, "matrix_rate", lambda dtype, device: 1e11)
    report = kmeans.measure("cpu", False)
    speed, products, loading, objective = report.figures
    assert all(math.isfinite(f.ratio) and f.ratio > 0 for f in report.figures)
    assert products.value / speed.value == pytest.approx(3 * 400 * 2 * 6 * 5 / (400 * 2))
    assert loading.other == pytest.approx(speed.value)
    assert objective.ratio == pytest.approx(1, abs=1e-4)
    assert all(figure.note.endswith("2 of 2 rounds") for figure in (speed, loading))


def test_points_are_loaded_as_they_are(tmp_path):
    """All of them, in their order, from a part of 16 bits."""
    points = kmeans.points_of(TINY)
    found = kmeans.loaded(kmeans.as_part(points, tmp_path), TINY)
    assert np.array_equal(found, points.astype(np.float16))


def test_the_path_of_a_gpu(monkeypatch):
    """On the CPU: a file of points to centroids; names are the same however many rounds it did."""
    monkeypatch.setattr(kmeans, "matrix_rate", lambda dtype, device: 1e11)
    seconds, products = kmeans.at_full_size(TINY, "cpu")
    assert seconds.reached
    assert seconds.name == f"{TINY}, with loading"
    assert seconds.note.endswith("2 of 2 rounds")
    assert products.value * seconds.value == pytest.approx(3 * 2 * 400 * 6 * 5)


@pytest.mark.parametrize("made", [kmeans.points_of, lambda size: kmeans.made_on(size, "cpu")])
def test_points_whose_clusters_are_not_found_at_once(made):
    """All rounds happen, as they do in faiss whatever the points."""
    size = kmeans.Size(points=4096, width=256, clusters=32, iterations=10)
    fit = fit_kmeans(made(size), size.clusters, size.iterations)
    assert len(fit.objective) == 10


def test_the_counter_agrees():
    """Torch counts the products of one assignment as the formula does."""
    import torch

    from tessera.quantize.assign import table_of

    with FlopCounterMode(display=False) as counter:
        table_of(torch.randn(5, 6)).scores(torch.randn(400, 6))
    assert counter.get_total_flops() * 3 == TINY.flops(fitted([3.0, 2.0], 1.0))
