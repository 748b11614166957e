"""The benchmark of K-Means: its arithmetic, and a run at a tiny size."""

import math

import numpy as np
import pytest
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import kmeans
from tessera.quantize.kmeans import fit_kmeans
from tessera.quantize.oracle import assign

TINY = kmeans.Size(points=400, width=6, clusters=5, iterations=2)


def test_operations_by_hand():
    """Two a multiplication with its sum; two rounds, and the last assignment."""
    assert TINY.flops == 2 * 400 * 6 * 5 * 3
    assert kmeans.FULL.flops == pytest.approx(21 * 2 * 2.097152e6 * 8192 * 768)


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
    speed, products, objective = report.figures
    assert all(math.isfinite(f.ratio) and f.ratio > 0 for f in report.figures)
    assert products.value / speed.value == pytest.approx(TINY.flops / (400 * 2))
    assert objective.ratio == pytest.approx(1, abs=1e-4)


def test_the_path_of_a_gpu(monkeypatch):
    """On the CPU: a file of points to centroids."""
    monkeypatch.setattr(kmeans, "matrix_rate", lambda dtype, device: 1e11)
    seconds, products = kmeans.at_full_size(TINY, "cpu")
    assert seconds.reached
    assert products.value == pytest.approx(TINY.flops / seconds.value)


def test_points_are_about_centres():
    """So that clusters are to be found: far less is left than of points about one."""
    points = kmeans.points_of(kmeans.Size(2000, 32, 4, 1))
    whole = float(np.square(points - points.mean(0)).sum())
    assert fit_kmeans(points, 4).inertia < 0.8 * whole


def test_the_counter_agrees():
    """Torch counts the products of one assignment as the formula does."""
    import torch

    from tessera.quantize.assign import table_of

    with FlopCounterMode(display=False) as counter:
        table_of(torch.randn(5, 6)).scores(torch.randn(400, 6))
    assert counter.get_total_flops() * 3 == TINY.flops
