"""Assigning features to centroids."""

import numpy as np
import pytest
import torch

from tessera.quantize.assign import closest, nearest, table_of, tf32_halves
from tessera.quantize.oracle import assign

GPU = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")]


@pytest.mark.parametrize("rows", [1, 7, 100, None])
def test_same_as_the_plain_version(rows: int | None) -> None:
    """The expanded square picks the same centroids as differences do, whatever the block."""
    random = np.random.default_rng(0)
    points, centroids = random.normal(size=(100, 6)), random.normal(size=(9, 6))
    expected, _ = assign(points, centroids)
    found = nearest(torch.from_numpy(points).float(), torch.from_numpy(centroids).float(), rows)
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


def test_scores_are_half_the_squared_distance_less_that_of_the_point() -> None:
    """Against differences in float64."""
    random = np.random.default_rng(1)
    points, centroids = random.normal(size=(50, 6)), random.normal(size=(9, 6))
    _, squared = assign(points, centroids)
    table = table_of(torch.from_numpy(centroids))
    _, scores = closest(torch.from_numpy(points).float(), table)
    np.testing.assert_allclose(
        2 * scores.numpy() + np.square(points).sum(1), squared, rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=GPU)])
def test_the_lowest_index_among_equals(device: str) -> None:
    """Whatever the block."""
    centroids = torch.tensor([[5.0, 5.0], [1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]], device=device)
    features = torch.tensor([[0.0, 0.0], [1.0, 0.0], [-2.0, 0.0]], device=device)
    for rows in (1, None):
        assert nearest(features, centroids, rows).tolist() == [1, 1, 3]


def test_inference_mode_and_threads() -> None:
    """Tensors of inference mode go to threads outside of it, and the number of threads stays."""
    threads = torch.get_num_threads()
    with torch.inference_mode():
        points, centroids = torch.randn(3000, 4), torch.randn(5, 4)
        found = nearest(points, centroids, rows=10)
    expected, _ = assign(points.double().numpy(), centroids.double().numpy())
    assert np.array_equal(found.numpy(), expected)
    assert torch.get_num_threads() == threads


def test_halves_that_tf32_holds() -> None:
    """Both have at most 13 bits, add up exactly, and replace a float32 product to 2^-21."""
    torch.manual_seed(0)
    centroids = torch.randn(40, 64)
    upper, lower = tf32_halves(centroids)
    assert torch.equal(upper + lower, centroids)
    assert torch.equal(tf32_halves(upper)[0], upper)
    points = torch.randn(30, 64).half().float()
    assert torch.equal(tf32_halves(points)[0], points)  # 16 bits need no second half
    kept = (upper + tf32_halves(lower)[0]).double()  # what a GPU multiplies with
    error = (points.double() @ (kept - centroids.double()).T).abs()
    assert (error <= 2**-21 * points.norm(dim=1)[:, None] * centroids.norm(dim=1)).all()


def test_halves_keep_every_mantissa_to_21_bits() -> None:
    """All 2^23 of them, where the rest's last bits are cut off and not rounded: the worst case."""
    numbers = (torch.arange(2**23, dtype=torch.int32) + (127 << 23)).view(torch.float32)
    _, lower = tf32_halves(numbers)
    cut = lower - tf32_halves(lower)[0]
    assert (cut / numbers).abs().max() < 2**-21


@pytest.mark.parametrize("halved", [False, True])
def test_scores_are_written_where_they_shall_be(halved: bool) -> None:
    """Each thread has one buffer, whatever the table."""
    torch.manual_seed(0)
    points, buffer = torch.randn(20, 8), torch.empty(20, 5)
    table = table_of(torch.randn(5, 8), halved)
    scores = table.scores(points, buffer)
    assert scores.data_ptr() == buffer.data_ptr()
    assert torch.equal(scores, table.scores(points))


def test_halved_table_has_the_same_scores() -> None:
    """In arithmetic that rounds no operand to TF32, up to the order of its sums."""
    torch.manual_seed(0)
    points, centroids = torch.randn(300, 64).half().float(), torch.randn(40, 64)
    plain, halved = (closest(points, table_of(centroids, h)) for h in (False, True))
    assert torch.equal(plain[0], halved[0])
    torch.testing.assert_close(plain[1], halved[1], rtol=0, atol=1e-4)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=GPU)])
def test_halved_table_against_float64(device: str) -> None:
    """In TF32, where the device has it; points of 16 bits."""
    torch.manual_seed(0)
    points, centroids = torch.randn(300, 768).half().float(), torch.randn(50, 768)
    found, scores = closest(points.to(device), table_of(centroids.to(device), halved=True))
    exact = centroids.double().square().sum(1) / 2 - points.double() @ centroids.double().T
    at_found = exact.gather(1, found.cpu()[:, None])[:, 0]
    bound = 1e-6 * points.norm(dim=1).max() * centroids.norm(dim=1).max()
    assert (scores.cpu() - at_found).abs().max() < 4 * bound
    assert (at_found - exact.min(1).values).max() < 4 * bound
