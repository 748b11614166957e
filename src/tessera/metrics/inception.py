"""torch-fidelity's Inception-v3 with a resize that interpolates each line once.

The network is torch-fidelity's own, weights and layers. Its resize, TensorFlow 1.x's bilinear one
without aligned corners, gathers every corner of every pixel from float images (12 % of a pass on a
processor); here columns are gathered from bytes, interpolated, and then rows of them: the same
operations on the same numbers, so the same bits. On a processor the maps keep their channels last,
which oneDNN convolves and pools 1.7 times as fast; features then differ by rounding, 5e-7 of their
size. On a GPU they do not: cuDNN has no fast kernels for float32 in that order.

Shapes: B batch, H x W image, S side.
"""

import torch
from torch import Tensor

from tessera.errors import UserError
from tessera.metrics.library import FeatureExtractorInceptionV3

FEATURES, LOGITS = "2048", "logits_unbiased"
"""torch-fidelity's names of the layers of the distances and of the score."""

PASS = (
    "Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "MaxPool_1", "Conv2d_3b_1x1",
    "Conv2d_4a_3x3", "MaxPool_2", "Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b",
    "Mixed_6c", "Mixed_6d", "Mixed_6e", "Mixed_7a", "Mixed_7b", "Mixed_7c", "AvgPool",
)  # fmt: skip
"""What an image passes, in order, up to the features; `fc` follows."""


class Inception(FeatureExtractorInceptionV3):
    """Inception-v3 from uint8 images to the two layers that the metrics read.

    Args:
        name: its name.
        weights: file in torch-fidelity's layout, which is unpickled without a check.

    Raises:
        UserError: this torch-fidelity's network has other parts.
    """

    def __init__(self, name: str, weights: str) -> None:
        super().__init__(
            name, [FEATURES, LOGITS], feature_extractor_weights_path=weights, verbose=False
        )
        if tuple(name for name, _ in self.named_children()) != (*PASS, "fc"):
            raise UserError(
                "the Inception network of this torch-fidelity is not that of release 0.4.0, "
                "which is known to work: install torch-fidelity==0.4.0"
            )

    @torch.no_grad()
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features [B, 2048] and logits without bias [B, 1008] of uint8 images [B, 3, H, W]."""
        x = (resize(images, self.INPUT_IMAGE_SIZE) - 128) / 128
        last = torch.channels_last if x.device.type == "cpu" else torch.contiguous_format
        x = x.contiguous(memory_format=last)
        for name in PASS:
            x = self.get_submodule(name)(x)
        features = x.flatten(1)
        return features, features.mm(self.fc.weight.T)


def resize(images: Tensor, side: int) -> Tensor:
    """Bilinear resize to S x S as TensorFlow 1.x does it, bit for bit as torch-fidelity does.

    Args:
        images: uint8 [B, 3, H, W].
        side: S, pixels.

    Returns:
        float32 [B, 3, S, S], in 0..255, with channels last in memory.
    """
    x = images.permute(0, 2, 3, 1)  # [B, H, W, 3]
    low, high, share = _neighbours(x.shape[2], side, x.device)
    left, right = (x.index_select(2, place).float() for place in (low, high))
    x = right.sub_(left).mul_(share[:, None]).add_(left)  # [B, H, S, 3]
    low, high, share = _neighbours(x.shape[1], side, x.device)
    above, below = x.index_select(1, low), x.index_select(1, high)
    x = below.sub_(above).mul_(share[:, None, None]).add_(above)  # [B, S, S, 3]
    return x.permute(0, 3, 1, 2)


def _neighbours(size: int, side: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """For each of S pixels: the one before it of `size`, the one after, and the share of that."""
    at = torch.arange(side, dtype=torch.float32, device=device)
    at = at * torch.tensor(size / side, dtype=torch.float32)
    low = at.long()
    return low, (low + 1).clamp_max(size - 1), at - low.float()
