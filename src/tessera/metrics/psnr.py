"""Peak signal-to-noise ratio of images against their originals."""

import torch
from torch import Tensor

from tessera.errors import UserError

PEAK = 255.0


def psnr(images: Tensor, originals: Tensor) -> Tensor:
    """PSNR of each image: 10 log10(255^2 / mean squared error).

    Args:
        images: uint8 [B, C, H, W].
        originals: uint8, the same shape.

    Returns:
        float64 [B], dB. An image without any error, whose ratio would be infinite, counts as if
        one value were off by one level.

    Raises:
        UserError: shapes or types differ, or these are no bytes.
    """
    if images.shape != originals.shape or {images.dtype, originals.dtype} != {torch.uint8}:
        raise UserError(
            f"PSNR compares uint8 images of one shape, not {images.dtype} of "
            f"{list(images.shape)} with {originals.dtype} of {list(originals.shape)}"
        )
    error = (images.double() - originals.double()).square().flatten(1).mean(1)
    least = 1 / originals[0].numel() if len(originals) else 0.0
    return 10 * torch.log10(PEAK**2 / error.clamp(min=least))
