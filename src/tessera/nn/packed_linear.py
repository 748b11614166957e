"""Linear layers whose weights do not change any more, laid out for many small products.

At 16 rows MKL multiplies with a weight of torch's layout at a third of the rate that it reaches
with one that it packed before (29 against 86 GFLOP/s on two cores); at 256 rows at 154 of 189.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PackedLinear(nn.Module):
    """The product of a linear layer for inference: ``x @ weight.T + bias``.

    Args:
        layer: The layer; its weight is shared where the precision is its own, else copied.
        rows: Rows of the inputs that a packed weight is made for, such as the images of a decoding
            step. Inputs with other numbers of rows are multiplied as ever.
        dtype: Precision of weight, input and output.
    """

    def __init__(self, layer: nn.Linear, rows: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.rows, self.inner = rows, layer.in_features
        self.weight = layer.weight.detach().to(dtype)
        self.bias = None if layer.bias is None else layer.bias.detach().to(dtype)
        self.packed = _pack(self.weight, rows)

    def forward(self, x: Tensor) -> Tensor:
        """Map [..., in] to [..., out]."""
        if self.packed is None or x.numel() != self.rows * self.inner:
            return F.linear(x, self.weight, self.bias)
        made: Tensor = torch.ops.mkl._mkl_linear(x, self.packed, self.weight, self.bias, self.rows)
        return made


class WideLinear(nn.Module):
    """A linear layer without bias whose products are summed and returned in float32.

    Args:
        layer: The layer; its weight is copied.
        dtype: Precision of weight and input. A model takes it from here for its embeddings.
    """

    def __init__(self, layer: nn.Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight = layer.weight.detach().to(dtype)
        # A processor does not sum in a wider type than that of what it multiplies.
        self.wide = None if self.weight.is_cuda else self.weight.float()

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, in] to float32 [B, out]."""
        if self.wide is None:
            return torch.mm(x, self.weight.T, torch.float32)
        return F.linear(x.float(), self.wide)


def _pack(weight: Tensor, rows: int) -> Tensor | None:
    """The weight as MKL packs it, or None where torch has no MKL or packs no such weight."""
    if weight.device.type != "cpu" or weight.dtype != torch.float32:
        return None
    try:
        # The operators that torch.compile's own freezing uses; they have no public name.
        packed: Tensor = torch.ops.mkl._mkl_reorder_linear_weight(weight, rows)
        x = weight.new_zeros(rows, weight.shape[1])
        torch.ops.mkl._mkl_linear(x, packed, weight, None, rows)
    except (AttributeError, RuntimeError):
        return None
    return packed
