"""Assigning features to centroids."""

import numpy as np
import pytest
import torch

from tessera.quantize.assign import nearest
from tessera.quantize.oracle import assign


@pytest.mark.parametrize("chunk", [1, 7, 100, 8192])
def test_same_as_the_plain_version(chunk: int) -> None:
    """The expanded square picks the same centroids as differences do, whatever the chunk."""
    random = np.random.default_rng(0)
    points, centroids = random.normal(size=(100, 6)), random.normal(size=(9, 6))
    expected, _ = assign(points, centroids)
    found = nearest(torch.from_numpy(points).float(), torch.from_numpy(centroids).float(), chunk)
    assert found.dtype == torch.long
    assert np.array_equal(found.numpy(), expected)


def test_half_precision_is_compared_in_float32() -> None:
    """Features of 16 bits whose squares would overflow still find their centroid."""
    centroids = torch.tensor([[0.0, 0.0], [400.0, 300.0], [-400.0, 300.0]])
    features = torch.tensor([[399.0, 300.0], [-300.0, 300.0], [1.0, 2.0]], dtype=torch.float16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert nearest(features, centroids).tolist() == [1, 2, 0]


def test_nothing_to_assign() -> None:
    """No features, no tokens."""
    assert nearest(torch.zeros(0, 3), torch.zeros(4, 3)).shape == (0,)
