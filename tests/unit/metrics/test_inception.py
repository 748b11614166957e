"""The resize before Inception."""

import pytest
import torch
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from tessera.metrics.inception import resize


@pytest.mark.parametrize("size", [(32, 32), (256, 256), (299, 299), (300, 17), (512, 301)])
@pytest.mark.parametrize("last", [False, True])
def test_resize_is_torch_fidelitys(size: tuple[int, int], last: bool) -> None:
    """To the last bit, up and down, from either layout."""
    images = torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8)
    if last:
        images = images.contiguous(memory_format=torch.channels_last)
    expected = interpolate_bilinear_2d_like_tensorflow1x(
        images.float(), size=(299, 299), align_corners=False
    )
    assert torch.equal(resize(images, 299), expected)
