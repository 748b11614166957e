"""PSNR against its definition."""

import math

import numpy as np
import pytest
import torch

from tessera.errors import UserError
from tessera.metrics.psnr import psnr


def test_against_the_definition() -> None:
    """10 log10(255^2 / MSE) of each image alone, written out in numpy."""
    random = np.random.default_rng(0)
    a, b = (random.integers(0, 256, (4, 3, 5, 6), dtype=np.uint8) for _ in range(2))
    expected = [
        10 * math.log10(255**2 / np.mean((x.astype(float) - y.astype(float)) ** 2))
        for x, y in zip(a, b, strict=True)
    ]
    found = psnr(torch.from_numpy(a), torch.from_numpy(b))
    assert found.tolist() == pytest.approx(expected, rel=1e-12)


def test_known_values() -> None:
    """Black against white is 0 dB; all values off by one are 20 log10(255) = 48.13 dB."""
    black = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
    assert psnr(black, black + 255).item() == pytest.approx(0)
    assert psnr(black + 7, black + 8).item() == pytest.approx(48.1308, abs=1e-4)


def test_an_image_without_error_is_finite() -> None:
    """It counts as one value off by one, which is above any real error."""
    image = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
    nearly = image.clone()
    nearly[0, 0, 0, 0] = 1
    assert psnr(image, image).item() == psnr(nearly, image).item() < math.inf


@pytest.mark.parametrize("wrong", [torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 3).byte()])
def test_other_images_are_refused(wrong: torch.Tensor) -> None:
    """Floats, which have another peak, and other sizes."""
    with pytest.raises(UserError, match="uint8 images of one shape"):
        psnr(torch.zeros(1, 3, 2, 2, dtype=torch.uint8), wrong)
