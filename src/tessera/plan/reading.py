"""What it takes to read images: a CPU's work, whatever the device of the job is.

Measured on one thread of a 2.8 GHz Xeon (Ice Lake): digits of 32x32 (PNG) take 0.34 ms, JPEGs of
0.25 megapixels cut to one view of 256x256 12.1 ms, to ten 22.5 ms, to ten resized crops 39.6 ms.
"""

from tessera.config.data import Views
from tessera.config.schema import Config
from tessera.plan.images import Images, images

READ, DECODE = 0.3e-3, 32e-9
"""Seconds an image and a pixel of it."""
CROP, RESIZED_CROP = 17e-9, 45e-9
"""Seconds a pixel of a view."""


def viewed(config: Config, views: str) -> tuple[Views, Images]:
    """Views and the data set that they crop."""
    found = config.views[views]
    return found, images(config, found.data)


def seconds(data: Images, count: float, side: int, copies: int = 1, resized: bool = False) -> float:
    """Seconds of one thread for reading and cropping.

    Args:
        data: the images.
        count: how many of them.
        side: side of a view, pixels.
        copies: views of each.
        resized: whether each view is cut out of the original and resized.
    """
    view = (RESIZED_CROP if resized else CROP) * side**2
    return count * (READ + DECODE * data.pixels + copies * view)


def views_of(views: Views, split: str) -> int:
    """Views of each image of a split."""
    return views.count if split == "train" else 1


def split_seconds(views: Views, data: Images, split: str, parts: int = 1) -> float:
    """Seconds of one thread for all views of one of some parts of a split."""
    resized = views.resized_crop and split == "train"
    count = data.count(split) / parts
    return seconds(data, count, views.side(split), views_of(views, split), resized)
