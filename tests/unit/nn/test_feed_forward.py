"""The feed-forward network's own gradients on a processor, against those that torch derives."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tessera.nn.feed_forward import FeedForward


def plain(layer: FeedForward, x: Tensor) -> Tensor:
    """The network as its description says."""
    return layer.down(F.gelu(layer.up(x)))


@pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("shape", [(7,), (2, 5, 7), (0, 7)])
def test_output_and_gradients(dtype, error, shape):
    """Those of the plain form, for the input and each parameter."""
    torch.manual_seed(0)
    layer = FeedForward(7, 13).to(dtype)
    x = torch.randn(shape, dtype=dtype, requires_grad=True)
    weights = torch.randn(shape, dtype=dtype)
    results = []
    for y in (layer(x), plain(layer, x)):
        wanted = (x, *layer.parameters())
        results.append((y, *torch.autograd.grad((y * weights).sum(), wanted)))
    for fast, slow in zip(*results, strict=True):
        torch.testing.assert_close(fast, slow, atol=error, rtol=error)


def test_frozen_weights_and_no_gradient():
    """An input alone can be differentiated for, and nothing at all."""
    layer = FeedForward(7, 13).requires_grad_(False)
    x = torch.randn(3, 7, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(x).sum(), x)
    (expected,) = torch.autograd.grad(plain(layer, x).sum(), x)
    torch.testing.assert_close(gradient, expected)
    with torch.no_grad():
        assert torch.equal(layer(x), plain(layer, x))


def test_autocast():
    """Its type is that of the products, as elsewhere."""
    layer, x = FeedForward(7, 13), torch.randn(3, 7)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
