"""The order of norms, branches and sums in a block."""

from typing import Literal

import pytest
import torch

from tessera.nn.block import Block
from tessera.nn.feed_forward import FeedForward


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_norm_placement(norm: Literal["pre", "post"]) -> None:
    """Post-norm normalises the sums, pre-norm the branches' inputs."""
    torch.manual_seed(0)
    block = Block(8, 2, 16, 0.1, norm).eval()
    torch.nn.init.normal_(block.attention_norm.weight)
    torch.nn.init.normal_(block.feed_forward_norm.bias)
    attention = lambda z: block.attention(z, causal=True)  # noqa: E731
    first, ffn, second = block.attention_norm, block.feed_forward, block.feed_forward_norm
    x = torch.randn(2, 3, 8)
    if norm == "post":
        h = first(x + attention(x))
        expected = second(h + ffn(h))
    else:
        h = x + attention(first(x))
        expected = h + ffn(second(h))
    torch.testing.assert_close(block(x, causal=True), expected)


def test_dropout_acts_on_the_branches_not_on_the_residual() -> None:
    """With a rate near 1, a pre-norm block in training returns almost its input."""
    torch.manual_seed(0)
    block = Block(8, 2, 16, 1 - 1e-9, "pre")
    x = torch.randn(2, 3, 8)
    torch.testing.assert_close(block(x, causal=True), x)


def test_feed_forward_uses_the_exact_gelu() -> None:
    """gelu(x) = x * Phi(x), which the tanh form misses by about 5e-4."""
    layer = FeedForward(1, 1)
    for linear in (layer.up, layer.down):
        torch.nn.init.ones_(linear.weight)
        torch.nn.init.zeros_(linear.bias)
    x = torch.linspace(-4, 4, 101, dtype=torch.float64)[:, None]
    expected = x * torch.distributions.Normal(0.0, 1.0).cdf(x)
    torch.testing.assert_close(layer.double()(x), expected, atol=1e-7, rtol=0)
