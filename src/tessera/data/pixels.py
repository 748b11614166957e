"""From an image file's bytes to RGB pixels, and back."""

import io
from typing import Literal

import numpy as np
from PIL import Image

from tessera.errors import UserError

MAX_FILE_BYTES = 256 * 2**20
"""No image file is larger; one that says so is damaged or hostile."""

FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""What is decoded. Pillow reads more; for an EPS, which is a program, it would run Ghostscript."""


def decode(data: bytes) -> Image.Image:
    """An image file's bytes as an RGB image; what the bytes are counts, not the file's name.

    Nothing but the colours is changed: a rotation noted in the EXIF data is ignored, as it was by
    the original and by all that was trained on ImageNet that way.

    Raises:
        UserError: no image, a damaged or truncated one, one of absurd size, or of a format that
            is not read.
    """
    try:
        image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
        # Pillow only warns between its limit and twice that. Filters of warnings, which could
        # make this an error, are shared by all threads, and images are decoded in many.
        limit = Image.MAX_IMAGE_PIXELS
        if limit is not None and image.width * image.height > limit:
            raise Image.DecompressionBombError(f"{image.width}x{image.height} pixels")
        if image.mode.startswith("I"):  # 16 bits, which Pillow would clip at 255
            grey = np.clip(np.asarray(image), 0, 65_535) // 257
            image = Image.fromarray(grey.astype(np.uint8))
        image.load()
        # Converting RGB to RGB copies the pixels: a quarter of the time of a JPEG file.
        return image if image.mode == "RGB" else image.convert("RGB")
    except Exception as error:  # the decoders raise many types for a broken file
        reason = " ".join(str(error).split("<")[0].split()) or type(error).__name__
        raise UserError(f"it is no readable image ({reason})") from error


def png_bytes(image: Image.Image) -> bytes:
    """The image as PNG."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def resize_shorter(
    image: Image.Image, size: int, filter: Literal["bicubic", "bilinear"] = "bicubic"
) -> Image.Image:
    """Resizes (antialiased) so that the shorter side is `size`, as torchvision does.

    Args:
        image: the image.
        size: the shorter side, pixels; the longer one follows, rounded down.
        filter: how pixels are weighed.
    """
    width, height = image.size
    if min(width, height) == size:
        return image
    if width <= height:
        target = (size, int(size * height / width))
    else:
        target = (int(size * width / height), size)
    return image.resize(target, FILTERS[filter])
