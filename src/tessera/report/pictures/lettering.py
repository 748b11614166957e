"""Words in pictures, in the typeface of the figures."""

from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]

LONGEST = 24
"""Characters of a line; what is longer ends in an ellipsis."""


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    # It comes with matplotlib, so every machine has it.
    file = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    # The basic layout: another one is there only where a library of the system is.
    return ImageFont.truetype(str(file), size, layout_engine=ImageFont.Layout.BASIC)


def words(text: str, size: int) -> Pixels:
    """One line of text, black on white.

    Args:
        text: the line.
        size: of the type, pixels.

    Returns:
        uint8 [height, width, 3]: as wide as the text, and as high for every text of this size.
    """
    font = _font(size)
    width, height = round(font.getlength(text)), line_height(size)
    canvas = Image.new("RGB", (max(1, width), height), "white")
    ImageDraw.Draw(canvas).text((0, 0), text, fill="black", font=font)
    return np.asarray(canvas)


def line_height(size: int) -> int:
    """Height of a line of `words`, pixels."""
    return sum(_font(size).getmetrics())


def shortened(text: str) -> str:
    """A text that fits beside a row of images."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
