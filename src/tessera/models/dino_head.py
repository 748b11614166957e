"""The projection head of DINO: an MLP, a normalised bottleneck, and prototypes of unit length.

Paper: DINO (arXiv 2104.14294, appendix C). Prototype lengths are fixed at 1.
"""

import torch.nn.functional as F
from torch import Tensor, nn


class DINOHead(nn.Module):
    """Tokens to prototype scores, which are cosines in [-1, 1]."""

    def __init__(self, width: int, hidden: int, bottleneck: int, prototypes: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.fc3 = nn.Linear(hidden, bottleneck)
        self.prototypes = nn.Linear(bottleneck, prototypes, bias=False)
        for layer in (self.fc1, self.fc2, self.fc3, self.prototypes):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """[n, D] -> [n, P]."""
        x = self.fc3(F.gelu(self.fc2(F.gelu(self.fc1(x)))))
        return F.linear(F.normalize(x, dim=-1), F.normalize(self.prototypes.weight, dim=-1))
