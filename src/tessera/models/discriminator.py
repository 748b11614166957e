"""The patch discriminator of pix2pix and VQGAN.

Papers: pix2pix (arXiv 1611.07004, section 3.2.2 and appendix 6.1.2), VQGAN (arXiv 2012.09841).
It departs in one point: group norm instead of batch norm, so that an image's score does not depend
on its neighbours and several processes need no synchronised statistics.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Sizes of a patch discriminator.

    Attributes:
        channels: width after the first convolution; doubled by each further one, eightfold at most.
        layers: convolutions of stride 2; each halves the grid of scores.
        norm_groups: groups of the group norms; divides `channels`.
    """

    channels: int = 64
    layers: int = 3
    norm_groups: int = 32

    def __post_init__(self) -> None:
        """Checks the sizes against each other."""
        if self.layers < 1:
            raise ValueError("a patch discriminator needs at least one layer")
        if self.channels % self.norm_groups:
            raise ValueError(f"norm_groups {self.norm_groups} does not divide {self.channels}")


class PatchDiscriminator(nn.Module):
    """Scores overlapping patches of an image: high means real."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.channels * min(2**i, 8) for i in range(config.layers + 1)]
        self.conv_in = nn.Conv2d(3, widths[0], 4, stride=2, padding=1)
        # All but the last halve the side once more.
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, 4, stride=2 if i < config.layers else 1, padding=1, bias=False)
            for i, (before, after) in enumerate(pairwise(widths), start=1)
        )
        self.norms = nn.ModuleList(nn.GroupNorm(config.norm_groups, width) for width in widths[1:])
        self.conv_out = nn.Conv2d(widths[-1], 1, 4, padding=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def features(self, images: Tensor) -> list[Tensor]:
        """The activations of every layer but the last: [B, C_i, H_i, W_i] each."""
        x = F.leaky_relu(self.conv_in(images), 0.2)
        found = [x]
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.leaky_relu(norm(conv(x)), 0.2)
            found.append(x)
        return found

    def forward(self, images: Tensor) -> Tensor:
        """Images in [0, 1], [B, 3, H, W] -> scores [B, 1, h, w]."""
        return self.conv_out(self.features(images)[-1])
