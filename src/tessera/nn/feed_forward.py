"""The two-layer feed-forward network of a transformer block."""

from torch import Tensor, nn
from torch.nn import functional as F


class FeedForward(nn.Module):
    """``down(gelu(up(x)))`` with the exact (erf) GELU, biases, and torch's default initialisation.

    Args:
        width: Width of the residual stream.
        hidden: Width between the two layers.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map [..., width] to [..., width], each position by itself."""
        return self.down(F.gelu(self.up(x)))
