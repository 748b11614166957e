"""The plain version itself, on points that can be worked out by hand."""

import numpy as np

from tessera.quantize.oracle import assign, lloyd


def test_lloyd_by_hand() -> None:
    """Two pairs of points on a line; a far centroid without points stays."""
    points = np.array([[0.0], [2.0], [10.0], [12.0]])
    start = np.array([[0.0], [9.0], [100.0]])
    centroids, objective = lloyd(points, start, 2)
    assert centroids[:, 0].tolist() == [1.0, 11.0, 100.0]
    assert objective == [0 + 4 + 1 + 9, 4.0]


def test_assign_by_hand() -> None:
    """The nearest centroid and the squared distance to it."""
    nearest, squared = assign(np.array([[3.0, 4.0], [0.0, 1.0]]), np.array([[0.0, 0.0], [3.0, 0]]))
    assert nearest.tolist() == [1, 0]
    assert squared.tolist() == [16.0, 1.0]
