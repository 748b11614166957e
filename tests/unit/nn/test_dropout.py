"""Dropout: how often it drops, that its draws do not depend on each other, its gradient."""

import pytest
import torch
from torch import Tensor

from tessera.nn.dropout import Dropout, draw_kept, dropped_levels

COUNT = 2_000_000


def kept(rate: float, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return draw_kept(torch.Size([COUNT]), dropped_levels(rate))


@pytest.mark.parametrize("rate", [0.0002, 0.1, 0.5, 0.9])
def test_how_often(rate):
    """Each lane of a word drops with the rate of 16 bits, within 5 standard deviations."""
    exact = dropped_levels(rate) / 65_536
    assert exact == pytest.approx(rate, abs=2**-17)
    for lane in range(4):
        drawn = (~kept(rate)[lane::4]).double()
        spread = (exact * (1 - exact) / len(drawn)) ** 0.5
        assert abs(float(drawn.mean()) - exact) < 5 * spread


@pytest.mark.parametrize("distance", [1, 2, 3, 4, 7, 512])
def test_neighbours_are_independent(distance):
    """Lanes of one word and words in a row: both dropped as often as chance has it."""
    dropped = (~kept(0.3)).double()
    both = dropped[:-distance] * dropped[distance:]
    p = (dropped_levels(0.3) / 65_536) ** 2
    # Pairs that share an element vary together, so their mean varies somewhat more than alone.
    spread = (p * (1 - p) * 3 / len(both)) ** 0.5
    assert abs(float(both.mean()) - p) < 5 * spread


def test_threshold_is_exact():
    """Over all 65,536 values of 16 bits exactly `levels` drop."""
    every = torch.arange(-(2**15), 2**15, dtype=torch.int16)
    for levels in (1, 6554, 65_535):
        assert int((every < levels - 2**15).sum()) == levels


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_forward_and_gradient_share_the_mask(dtype):
    """The output is x times 0 or 65,536 / (65,536 - levels), and so is the gradient."""
    torch.manual_seed(0)
    x = (torch.rand(13, 7, 3, dtype=torch.float64) + 1).to(dtype).requires_grad_()
    y = Dropout(0.4)(x)
    y.backward(torch.ones_like(y))
    factor = torch.tensor(65_536 / (65_536 - dropped_levels(0.4)), dtype=dtype)
    stays = y != 0
    assert 0 < int(stays.sum()) < y.numel()
    assert y.dtype == dtype
    torch.testing.assert_close(y, torch.where(stays, x * factor, 0))
    torch.testing.assert_close(x.grad, torch.where(stays, factor, torch.zeros((), dtype=dtype)))


def test_a_sum_is_that_of_the_parts():
    """The residual + forward(x) with the same draws, and its gradients, to rounding."""
    residual, x = (torch.randn(5, 7, 3, requires_grad=True) for _ in range(2))
    layer, results = Dropout(0.4), []
    for add in (layer.add, lambda r, x: r + layer(x)):
        torch.manual_seed(1)
        y = add(residual, x)
        results.append((y, *torch.autograd.grad(y.square().sum(), (residual, x))))
    torch.testing.assert_close(*results)
    assert torch.equal(layer.eval().add(residual, x), residual + x)


def test_a_sum_of_two_types_has_the_wider():
    """Under autocast a branch is of 16 bits and the residual of 32."""
    y = Dropout(0.4).add(torch.zeros(4, 4), torch.ones(4, 4, dtype=torch.bfloat16))
    assert y.dtype == torch.float32


def test_a_seed_repeats():
    """The same seed gives the same mask, whatever the number of threads; another seed another."""
    first = kept(0.1)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert torch.equal(first, kept(0.1))
    finally:
        torch.set_num_threads(threads)
    assert not torch.equal(first, kept(0.1, seed=1))


def test_evaluation_and_rate_0_are_the_identity():
    """The very tensor, and nothing is drawn."""
    x = torch.randn(4, 4)
    state = torch.get_rng_state()
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0).train()(x) is x
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (5, 0), (2, 3, 5)])
def test_any_shape(shape):
    """Also one whose elements do not fill the last word."""
    assert Dropout(0.5)(torch.ones(shape)).shape == shape
