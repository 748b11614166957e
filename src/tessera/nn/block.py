"""A transformer block, with the norms after the residual sums or before the branches.

Post-norm: Vaswani et al. (arXiv:1706.03762), section 3.1. Pre-norm: Xiong et al., "On Layer
Normalization in the Transformer Architecture" (arXiv:2002.04745), table 1.
"""

from typing import Literal

from torch import Tensor, nn

from tessera.nn.attention import Attention
from tessera.nn.cache import LayerCache
from tessera.nn.dropout import Dropout
from tessera.nn.feed_forward import FeedForward

Norm = Literal["pre", "post"]


class Block(nn.Module):
    """Self-attention and feed-forward network, each with a residual connection.

    Args:
        width: Width of the residual stream.
        heads: Attention heads.
        ffn: Hidden width of the feed-forward network.
        dropout: Rate on the output of either branch, before the sum.
        norm: ``"post"``: x = LN(x + branch(x)); ``"pre"``: x = x + branch(LN(x)).
    """

    def __init__(self, width: int, heads: int, ffn: int, dropout: float, norm: Norm) -> None:
        super().__init__()
        self.pre = norm == "pre"
        self.attention = Attention(width, heads)
        self.attention_norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, ffn)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.dropout = Dropout(dropout)

    def forward(
        self, x: Tensor, *, causal: bool, cache: LayerCache | None = None, slot: int = 0
    ) -> Tensor:
        """Map [B, T, width] to [B, T, width]; see :meth:`Attention.forward` for the arguments."""
        if self.pre:
            y = self.attention(self.attention_norm(x), causal=causal, cache=cache, slot=slot)
            x = self.dropout.add(x, y)
            return self.dropout.add(x, self.feed_forward(self.feed_forward_norm(x)))
        y = self.attention(x, causal=causal, cache=cache, slot=slot)
        x = self.attention_norm(self.dropout.add(x, y))
        return self.feed_forward_norm(self.dropout.add(x, self.feed_forward(x)))
