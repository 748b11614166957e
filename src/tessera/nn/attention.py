"""Multi-head self-attention, causal or full, with an optional KV cache.

Vaswani et al., "Attention Is All You Need" (arXiv:1706.03762), equation 1. Query, key and value
come from one fused linear layer.
"""

import math

from torch import Tensor, nn
from torch.nn import functional as F

from tessera.nn.cache import LayerCache


class Attention(nn.Module):
    """Self-attention with biases and no dropout on the attention weights.

    Args:
        width: Width of the residual stream, a multiple of ``heads``.
        heads: Attention heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)  # rows: all of q, then all of k, then all of v
        self.out = nn.Linear(width, width)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights as fairseq does: three separate [width, width] layers q, k, v.

        Xavier-uniform with gain 1/sqrt(2) on a square layer is U(-b, b) with b = sqrt(1.5 / width);
        the layer is square although the fused matrix is not, so the bound is written out.
        """
        width = self.out.in_features
        nn.init.uniform_(self.qkv.weight, -math.sqrt(1.5 / width), math.sqrt(1.5 / width))
        nn.init.uniform_(self.qkv.bias, -math.sqrt(1 / width), math.sqrt(1 / width))
        nn.init.xavier_uniform_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(
        self, x: Tensor, *, causal: bool, cache: LayerCache | None = None, slot: int = 0
    ) -> Tensor:
        """Attend within ``x``, or from one new position to all that the cache holds.

        Args:
            x: [B, T, width].
            causal: Whether a position sees only itself and earlier ones.
            cache: Where the keys and values of ``x`` are stored. With T > 1 it must be empty
                (``slot`` 0); with T = 1 the position also sees all slots before its own.
            slot: Index of the first position of ``x`` in the cache.

        Returns:
            [B, T, width].
        """
        B, T, width = x.shape
        qkv = self.qkv(x).view(B, T, 3, self.heads, width // self.heads)
        # Views, each [B, heads, T, head width], whose gradients are stacked as `qkv` lies.
        q, k, v = (part.transpose(1, 2) for part in qkv.unbind(2))
        if cache is not None:
            cache.both[:, :, :, slot : slot + T] = qkv[:, :, 1:].permute(2, 0, 3, 1, 4)
            if T == 1:
                k, v = cache.keys[:, :, : slot + 1], cache.values[:, :, : slot + 1]
                q, causal = q.to(k.dtype), False  # the newest position sees everything there is
        y = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return self.out(y.transpose(1, 2).reshape(B, T, width).to(qkv.dtype))
