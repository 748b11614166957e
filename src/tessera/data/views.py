"""Seeded crops: what every tokenizer sees of an image."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tessera.data.pixels import FILTERS, resize_shorter
from tessera.errors import UserError

if TYPE_CHECKING:
    from tessera.config.data import Views

AREA = (0.08, 1.0)
"""Share of an image's area that a resized crop has: torchvision's default, as DiGIT's probe."""
RATIO = (3 / 4, 4 / 3)
"""Width over height of a resized crop."""
TRIES = 10
"""Boxes drawn before the central one is taken."""


def view_count(settings: "Views", split: str) -> int:
    """Views an image: the configured number in training, one in validation."""
    return settings.count if split == "train" else 1


def cut_views(image: Image.Image, number: int, settings: "Views", split: str) -> np.ndarray:
    """The views of one image.

    The draw of view v depends on (seed, image number, v) alone, so that semantic tokens and VQGAN
    codes are made from the same pixels, in whatever order and on however many machines.

    Args:
        image: RGB.
        number: the image's number in its split.
        settings: size, crop, flip.
        split: "train" draws crops; any other takes the centre.

    Returns:
        uint8 [views, 3, side, side], `side` that of the split.

    Raises:
        UserError: the crop is larger than the image.
    """
    if split == "train" and settings.resized_crop:
        views = [_resized_crop(image, number, view, settings) for view in range(settings.count)]
        return _planes(views)
    if settings.resize is not None:
        image = resize_shorter(image, settings.resize, settings.filter)
    pixels = np.asarray(image)  # [H, W, 3]
    height, width, crop = pixels.shape[0], pixels.shape[1], settings.side(split)
    if crop > min(height, width):
        raise UserError(
            f"image {number} ({width}x{height}) is smaller than the crop ({crop}): set `resize` "
            "of these views, or lower `crop`"
        )
    views = []
    for view in range(view_count(settings, split)):
        if split == "train" and settings.random_crop:
            draw = _generator(settings, number, view)
            top, left = draw.integers(height - crop + 1), draw.integers(width - crop + 1)
            mirrored = settings.flip and draw.random() < 0.5
        else:
            # torchvision's centre crop rounds half to even.
            top, left = round((height - crop) / 2.0), round((width - crop) / 2.0)
            mirrored = False
        piece = pixels[top : top + crop, left : left + crop]
        views.append(piece[:, ::-1] if mirrored else piece)
    return _planes(views)


def _planes(views: Sequence[np.ndarray]) -> np.ndarray:
    """Views [H, W, 3] → [views, 3, H, W], each copied once."""
    height, width, _ = views[0].shape
    planes = np.empty((len(views), 3, height, width), np.uint8)
    for plane, view in zip(planes, views, strict=True):
        plane[:] = view.transpose(2, 0, 1)
    return planes


def _generator(settings: "Views", number: int, view: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[settings.seed, number * 64 + view]))


def _resized_crop(image: Image.Image, number: int, view: int, settings: "Views") -> np.ndarray:
    """One view of torchvision's RandomResizedCrop, uint8 [crop, crop, 3]."""
    draw = _generator(settings, number, view)
    top, left, height, width = draw_box(image.height, image.width, draw)
    # Cut first: a resize with a box would let pixels beyond it weigh in.
    piece = image.crop((left, top, left + width, top + height))
    kind = FILTERS[settings.crop_filter or settings.filter]
    pixels = np.asarray(piece.resize((settings.crop, settings.crop), kind))
    return pixels[:, ::-1] if settings.flip and draw.random() < 0.5 else pixels


def draw_box(height: int, width: int, draw: np.random.Generator) -> tuple[int, int, int, int]:
    """A box of random area and ratio, as torchvision's RandomResizedCrop draws it.

    Args:
        height: of the image, pixels.
        width: of the image, pixels.
        draw: where the random numbers come from.

    Returns:
        Top, left, height and width of the box, pixels. Where ten boxes did not fit into the image,
        the central one with the nearest ratio.
    """
    low, high = math.log(RATIO[0]), math.log(RATIO[1])
    for _ in range(TRIES):
        area = height * width * draw.uniform(*AREA)
        ratio = math.exp(draw.uniform(low, high))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return int(draw.integers(height - h + 1)), int(draw.integers(width - w + 1)), h, w
    w, h = width, height
    if width / height < RATIO[0]:
        h = round(width / RATIO[0])
    elif width / height > RATIO[1]:
        w = round(height * RATIO[1])
    return (height - h) // 2, (width - w) // 2, h, w


def as_reference(settings: "Views") -> "Views":
    """Validation's size, but one centre crop of each image: how reference images are made."""
    return settings.model_copy(
        update={
            "crop": settings.side("validation"),
            "validation_crop": None,
            "random_crop": False,
            "resized_crop": False,
            "flip": False,
            "count": 1,
        }
    )


def centre_views(size: int, shorter_side: int | None = None) -> "Views":
    """One centre crop of `size` pixels of each image, resized first where asked for."""
    from tessera.config.data import Views  # here: cutting alone does without pydantic

    return Views(data="any", resize=shorter_side, crop=size, random_crop=False)
