"""Attention against the formula written out."""

import math

import pytest
import torch
from torch import Tensor

from tessera.nn.attention import Attention
from tessera.nn.cache import new_cache


def oracle(layer: Attention, x: Tensor, causal: bool) -> Tensor:
    """Attention one head, one query at a time, in float64."""
    B, T, D = x.shape
    hd = D // layer.heads
    weight, bias = layer.qkv.weight.double(), layer.qkv.bias.double()
    q, k, v = (
        x.double() @ weight[i * D : (i + 1) * D].T + bias[i * D : (i + 1) * D] for i in range(3)
    )
    y = torch.zeros(B, T, D, dtype=torch.float64)
    for b in range(B):
        for h in range(layer.heads):
            part = slice(h * hd, (h + 1) * hd)
            for t in range(T):
                seen = t + 1 if causal else T
                scores = k[b, :seen, part] @ q[b, t, part] / math.sqrt(hd)
                y[b, t, part] = scores.softmax(0) @ v[b, :seen, part]
    return y @ layer.out.weight.double().T + layer.out.bias.double()


@pytest.fixture
def layer() -> Attention:
    torch.manual_seed(0)
    return Attention(12, 3).eval().requires_grad_(False)


@pytest.mark.parametrize("causal", [True, False])
def test_equals_the_formula(layer: Attention, causal: bool) -> None:
    """Both modes equal a loop over heads and queries."""
    x = torch.randn(2, 5, 12)
    torch.testing.assert_close(
        layer(x, causal=causal).double(), oracle(layer, x, causal), atol=1e-6, rtol=0
    )


def test_cache_step_by_step_equals_one_pass(layer: Attention) -> None:
    """A prefill of 3 and single steps equal attention over the whole sequence."""
    x = torch.randn(2, 7, 12)
    cache = new_cache(1, 2, 3, 9, 4, dtype=torch.float32, device=torch.device("cpu")).layers[0]
    parts = [layer(x[:, :3], causal=True, cache=cache)]
    parts += [layer(x[:, t : t + 1], causal=True, cache=cache, slot=t) for t in range(3, 7)]
    torch.testing.assert_close(
        torch.cat(parts, 1).double(), oracle(layer, x, True), atol=1e-6, rtol=0
    )


def test_cache_of_lower_precision_keeps_the_output_dtype(layer: Attention) -> None:
    """A bfloat16 cache under a float32 layer changes the result by rounding only."""
    x = torch.randn(2, 4, 12)
    cache = new_cache(1, 2, 3, 4, 4, dtype=torch.bfloat16, device=torch.device("cpu")).layers[0]
    layer(x[:, :3], causal=True, cache=cache)
    y = layer(x[:, 3:], causal=True, cache=cache, slot=3)
    assert y.dtype == torch.float32
    torch.testing.assert_close(y.double(), oracle(layer, x, True)[:, 3:], atol=0.05, rtol=0)


def test_initialisation_is_that_of_three_square_layers() -> None:
    """q, k and v have the bound of Xavier with gain 1/sqrt(2) on [D, D], not on [3 D, D]."""
    D = 96
    layer = Attention(D, 4).requires_grad_(False)
    bound = math.sqrt(6 / (D + D)) / math.sqrt(2)
    for part in layer.qkv.weight.chunk(3):
        assert 0.99 * bound < part.abs().max() <= bound
        assert float(part.std()) == pytest.approx(bound / math.sqrt(3), rel=0.02)
    assert 0.9 / math.sqrt(D) < layer.qkv.bias.abs().max() <= 1 / math.sqrt(D)
    assert 0.99 * math.sqrt(3 / D) < layer.out.weight.abs().max() <= math.sqrt(3 / D)
    assert not layer.out.bias.any()


def test_cache_layers_are_separate_parts_of_one_block() -> None:
    """Writing one layer's keys leaves all else alone, and the shapes are as asked."""
    cache = new_cache(2, 3, 2, 5, 4, dtype=torch.float32, device=torch.device("cpu"))
    for layer in cache.layers:
        layer.keys.zero_()
        layer.values.zero_()
    cache.layers[1].keys.fill_(1)
    assert cache.batch == 3
    assert cache.dtype == torch.float32
    assert cache.device.type == "cpu"
    assert cache.layers[0].keys.shape == (3, 2, 5, 4)
    assert not cache.layers[0].keys.any()
    assert not cache.layers[1].values.any()
    assert cache.layers[0].keys.untyped_storage().data_ptr() == (
        cache.layers[1].values.untyped_storage().data_ptr()
    )
