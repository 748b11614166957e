"""Seeded crops: what every tokenizer sees of an image."""

import numpy as np
from PIL import Image

from tessera.config.data import Views
from tessera.data.shards import resize_shorter
from tessera.errors import UserError


def view_count(settings: Views, split: str) -> int:
    """Views an image: the configured number in training, one in validation."""
    return settings.count if split == "train" else 1


def cut_views(image: Image.Image, number: int, settings: Views, split: str) -> np.ndarray:
    """The views of one image.

    The draw of view v depends on (seed, image number, v) alone, so that semantic tokens and VQGAN
    codes are made from the same pixels, in whatever order and on however many machines.

    Args:
        image: RGB.
        number: the image's number in its split.
        settings: size, crop, flip.
        split: "train" draws crops; any other takes the centre.

    Returns:
        uint8 [views, 3, crop, crop].

    Raises:
        UserError: the crop is larger than the image.
    """
    if settings.resize is not None:
        image = resize_shorter(image, settings.resize)
    pixels = np.asarray(image)  # [H, W, 3]
    height, width, crop = pixels.shape[0], pixels.shape[1], settings.crop
    if crop > min(height, width):
        raise UserError(
            f"image {number} ({width}x{height}) is smaller than the crop ({crop}): set `resize` "
            "of these views, or lower `crop`"
        )
    views = []
    for view in range(view_count(settings, split)):
        if split == "train" and settings.random_crop:
            draw = np.random.Generator(np.random.Philox(key=[settings.seed, number * 64 + view]))
            top, left = draw.integers(height - crop + 1), draw.integers(width - crop + 1)
            mirrored = settings.flip and draw.random() < 0.5
        else:
            # torchvision's centre crop rounds half to even.
            top, left = round((height - crop) / 2.0), round((width - crop) / 2.0)
            mirrored = False
        piece = pixels[top : top + crop, left : left + crop]
        views.append(piece[:, ::-1] if mirrored else piece)
    return np.stack(views).transpose(0, 3, 1, 2).copy()  # [views, 3, crop, crop]


def as_reference(settings: Views) -> Views:
    """The same size, but one centre crop of each image: how reference images are made."""
    return settings.model_copy(update={"random_crop": False, "flip": False, "count": 1})


def centre_views(size: int, shorter_side: int | None = None) -> Views:
    """One centre crop of `size` pixels of each image, resized first where asked for."""
    return Views(data="any", resize=shorter_side, crop=size, random_crop=False)
