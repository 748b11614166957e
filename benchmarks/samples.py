"""Made-up samples, and an Inception of random weights to look at them."""

from pathlib import Path
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray

SIDE = 256
"""Pixels along a side of a sample."""


def smooth_images(count: int) -> NDArray[np.uint8]:
    """Images [count, SIDE, SIDE, 3] that compress about as photographs do."""
    draw = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, SIDE // 8, SIDE // 8, generator=draw)
    large = torch.nn.functional.interpolate(coarse, size=(SIDE, SIDE), mode="bilinear")
    noisy = 255 * large + 6 * torch.rand(1, 3, SIDE, SIDE, generator=draw)
    made: NDArray[np.uint8] = noisy.clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous().numpy()
    return made


def random_weights(path: Path) -> Path:
    """A file in the layout of torch-fidelity's Inception; values do not matter for speed."""
    from torch_fidelity import FeatureExtractorInceptionV3

    source = "torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url"
    loading = mock.patch.object(FeatureExtractorInceptionV3, "load_state_dict")
    with mock.patch(source, return_value={}), loading:  # else it would fetch the published ones
        network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    torch.save(network.state_dict(), path)
    return path
