"""Prepared layers against the layers that they were made from."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tessera.nn import packed_linear
from tessera.nn.packed_linear import PackedLinear, WideLinear


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(6, 24), (6, 1, 24), (2, 3, 24), (1, 24), (7, 24)])
def test_equals_the_layer(bias: bool, shape: tuple[int, ...]) -> None:
    """For the rows that it was packed for and for others, in any leading shape."""
    torch.manual_seed(0)
    layer, x = nn.Linear(24, 37, bias=bias).requires_grad_(False), torch.randn(shape)
    packed = PackedLinear(layer, 6, torch.float32)
    torch.testing.assert_close(packed(x), layer(x), atol=1e-6, rtol=1e-6)


def test_without_mkl_it_is_the_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the operators are missing the plain product is taken."""
    monkeypatch.setattr(packed_linear.torch.ops, "mkl", object())
    layer, x = nn.Linear(24, 37).requires_grad_(False), torch.randn(6, 24)
    packed = PackedLinear(layer, 6, torch.float32)
    assert packed.packed is None
    assert torch.equal(packed(x), layer(x))


def test_packing_is_for_float32_on_a_processor() -> None:
    """Nothing is packed in bfloat16, and the weight is not copied in its own precision."""
    layer = nn.Linear(24, 37)
    assert PackedLinear(layer, 6, torch.bfloat16).packed is None
    assert PackedLinear(layer, 6, torch.float32).weight.data_ptr() == layer.weight.data_ptr()


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_wide_products_are_not_rounded(device: str) -> None:
    """The sum of 512 products of bfloat16 numbers is right to a millionth, not to 0.4 %."""
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    torch.manual_seed(0)
    layer = nn.Linear(512, 40, bias=False, device=device).requires_grad_(False)
    x = torch.randn(5, 512, device=device).bfloat16()
    expected = F.linear(x.double(), layer.weight.bfloat16().double())
    made = WideLinear(layer, torch.bfloat16)(x)
    assert made.dtype == torch.float32
    torch.testing.assert_close(made.double(), expected, atol=1e-5, rtol=0)
