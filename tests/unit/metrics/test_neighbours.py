"""Nearest training images in feature space."""

import numpy as np
import pytest
import torch

from tessera.errors import UserError
from tessera.metrics.neighbours import nearest_neighbours


def test_against_loops() -> None:
    """Distances and indices equal a full search in numpy, whatever the chunk."""
    random = np.random.default_rng(0)
    samples, reference = random.normal(size=(13, 5)), random.normal(size=(40, 5))
    distances, indices = nearest_neighbours(
        torch.from_numpy(samples), torch.from_numpy(reference), k=3, chunk=4
    )
    for row, sample in enumerate(samples):
        far = np.linalg.norm(reference - sample, axis=1)
        assert indices[row].tolist() == far.argsort()[:3].tolist()
        np.testing.assert_allclose(distances[row], np.sort(far)[:3], rtol=1e-12)


def test_copies_are_at_distance_zero() -> None:
    """A copied training image is found at exactly 0, also far from the origin in float32."""
    reference = 1000 + torch.randn(50, 8, generator=torch.Generator().manual_seed(0))
    distances, indices = nearest_neighbours(reference[[7, 30]], reference)
    assert distances.flatten().tolist() == [0.0, 0.0]
    assert indices.flatten().tolist() == [7, 30]


def test_ties_go_to_the_lower_index() -> None:
    """Of equal distances the lower index comes first."""
    _, indices = nearest_neighbours(torch.zeros(1, 2), torch.ones(4, 2), k=4)
    assert indices.tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize(("samples", "k"), [(0, 1), (2, 0), (2, 4)])
def test_impossible_searches_are_refused(samples: int, k: int) -> None:
    """No samples, or more neighbours than images, are the user's to mend."""
    with pytest.raises(UserError, match="cannot find"):
        nearest_neighbours(torch.zeros(samples, 2), torch.zeros(3, 2), k=k)
