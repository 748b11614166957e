"""Resizes and crops against the bytes that torchvision and Pillow made for the original."""

import hashlib
import re

import numpy as np
import pytest
from PIL import Image

from tessera.config.data import Views
from tessera.data.pixels import resize_shorter
from tessera.data.views import as_reference, cut_views

KINDS = {
    "val256": {"resize": 256, "crop": 256},
    "val224of256": {"resize": 256, "crop": 256, "validation_crop": 224},
    "short224": {"resize": 224, "crop": 224},
    "fidref256": {"resize": 256, "crop": 256, "filter": "bilinear"},
}
"""Kind of array → views of the config. The probe's validation is cut to 224 of 256; reference
images of FID are resized bilinearly."""


@pytest.fixture(scope="module")
def stored(golden) -> dict[str, np.ndarray]:
    with np.load(golden / "transforms.npz") as file:
        return dict(file)


def test_every_array_is_looked_at(stored):
    """The test below reads all that the file holds."""
    known = re.compile(rf"in\d+|versions|({'|'.join(KINDS)})_\d+_(resized_wh|rows|sum|sha256)")
    assert [key for key in stored if not known.fullmatch(key)] == []
    assert len([key for key in stored if key.startswith("in")]) == 3


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_centre_crops(stored, kind, number):
    """Size after resizing, four rows, the sum of each channel, and the digest of all pixels."""
    image, views = Image.fromarray(stored[f"in{number}"]), Views(data="any", **KINDS[kind])
    prefix = f"{kind}_{number}"
    resized = resize_shorter(image, views.resize, views.filter)
    assert resized.size == tuple(stored[f"{prefix}_resized_wh"])
    (cut,) = cut_views(image, number, views, "validation")
    pixels = np.ascontiguousarray(cut.transpose(1, 2, 0))  # [side, side, 3]
    assert pixels.astype(np.int64).sum((0, 1)).tolist() == stored[f"{prefix}_sum"].tolist()
    assert np.array_equal(pixels[::64], stored[f"{prefix}_rows"])
    assert hashlib.sha256(pixels.tobytes()).hexdigest() == str(stored[f"{prefix}_sha256"])
    # What samples are compared with, of either split.
    assert np.array_equal(cut_views(image, number, as_reference(views), "train")[0], cut)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_training_crops_are_windows_of_the_resized_image(stored, number):
    """Resize(256, bicubic), RandomCrop(256), flip: the short side whole, the long one anywhere."""
    image = Image.fromarray(stored[f"in{number}"])
    views = Views(data="any", resize=256, crop=256, flip=True, count=6)
    whole = np.asarray(resize_shorter(image, 256)).transpose(2, 0, 1)
    height, width = whole.shape[1:]
    windows = [
        whole[:, top : top + 256, left : left + 256]
        for top in range(height - 255)
        for left in range(width - 255)
    ]
    for cut in cut_views(image, number, views, "train"):
        assert any(np.array_equal(cut, w) or np.array_equal(cut[:, :, ::-1], w) for w in windows)
