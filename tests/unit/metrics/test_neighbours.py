"""Nearest images of a stream, against all distances at once in numpy."""

import numpy as np
import pytest
import torch
from torch import Tensor

from tessera.metrics import neighbours
from tessera.metrics.neighbours import NOBODY, Copies, Nearest, percentiles

METRICS = ("euclidean", "cosine")


def brute_force(queries: Tensor, features: Tensor, metric: str) -> np.ndarray:
    """All distances, [Q, N], by the definitions."""
    one, other = queries.double().numpy()[:, None], features.double().numpy()[None]
    if metric == "euclidean":
        return np.sqrt(((one - other) ** 2).sum(-1))
    lengths = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    return 1 - (one * other).sum(-1) / lengths


@pytest.fixture
def drawn() -> tuple[Tensor, Tensor, Tensor]:
    """Features of 23 queries and 101 images, and the images' numbers in a mixed-up order."""
    draw = torch.Generator().manual_seed(0)
    queries, features = (torch.randn(n, 7, generator=draw) + 2 for n in (23, 101))
    return queries, features, torch.randperm(101, generator=draw) + 1000


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("batch", [1, 8, 101])
@pytest.mark.parametrize("rows", [5, 4096])
def test_against_all_distances(drawn, monkeypatch, metric, batch, rows):
    """Whatever the batches, and however many queries are compared at once."""
    monkeypatch.setattr(neighbours, "ROWS", rows)
    queries, features, numbers = drawn
    search = Nearest(queries, 4, metric)
    for start in range(0, 101, batch):
        search.add(features[start : start + batch], numbers[start : start + batch])
    distances, found = search.found()
    whole = brute_force(queries, features, metric)
    order = whole.argsort(axis=1)[:, :4]
    assert np.array_equal(found, numbers.numpy()[order])
    np.testing.assert_allclose(distances, np.take_along_axis(whole, order, 1), rtol=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_what_was_copied_is_found(metric):
    """At no distance at all, although their features are long and have a thousand channels."""
    draw = torch.Generator().manual_seed(1)
    features = 10 * torch.rand(50, 2048, generator=draw)
    search = Nearest(features[[7, 31]].clone(), 2, metric)
    search.add(features, torch.arange(50))
    distances, numbers = search.found()
    assert numbers[:, 0].tolist() == [7, 31]
    assert (distances[:, 0] < 1e-12).all()
    assert (distances[:, 1] > 0.05).all()


def test_what_is_almost_a_copy_is_none():
    """One channel of a thousand that differs by a millionth of the features' length."""
    features = 10 * torch.rand(1, 1024, generator=torch.Generator().manual_seed(3)).double()
    other = features.clone()
    other[0, 5] += 1e-3
    search = Nearest(features, 1)
    search.add(other, torch.tensor([0]))
    assert search.found()[0] == pytest.approx(1e-3, rel=1e-4)


def test_fewer_images_than_neighbours():
    """The places that are left say so."""
    search = Nearest(torch.zeros(1, 2), 3)
    search.add(torch.tensor([[3.0, 4.0]]), torch.tensor([9]))
    distances, numbers = search.found()
    assert distances.tolist() == [[5, np.inf, np.inf]]
    assert numbers.tolist() == [[9, NOBODY, NOBODY]]


def test_the_first_of_equal_images_stays():
    """In whatever batches they come."""
    for sizes in ([3], [1, 2], [2, 1], [1, 1, 1]):
        search = Nearest(torch.zeros(1, 2), 1)
        for numbers in torch.tensor([5, 3, 4]).split(sizes):
            search.add(torch.ones(len(numbers), 2), numbers)
        assert search.found()[1].tolist() == [[5]]


def test_copies_are_equal_to_the_last_bit():
    """Each image of the set that the stream has too, repeated ones too; a bit makes another."""
    draw = torch.Generator().manual_seed(2)
    images = torch.randint(0, 256, (6, 3, 4, 4), generator=draw, dtype=torch.uint8)
    almost = images[4].clone()
    almost[2, 3, 3] ^= 1
    copies = Copies()
    copies.expect(torch.stack([images[0], almost]))
    copies.expect(torch.stack([images[5], images[1], images[5]]))
    # The same pixels, laid out in memory as in an array that ends in the colours.
    copies.add(images[2:].permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2))
    assert copies.found().tolist() == [2, 4]


def test_percentiles():
    """Of 0 to 100 they are the numbers themselves."""
    found = percentiles(np.random.default_rng(0).permutation(101).astype(float))
    assert found == {f"p{n}": n for n in (0, 1, 5, 25, 50, 75, 95, 99, 100)}
