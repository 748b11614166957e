"""Images on disk for the tests of data sets."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def encode(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind)
    return buffer.getvalue()


@pytest.fixture
def picture() -> Callable[..., Image.Image]:
    """A function that draws a random RGB image."""

    def draw(width: int = 20, height: int = 16, seed: int = 0) -> Image.Image:
        generator = np.random.default_rng(seed)
        return Image.fromarray(generator.integers(0, 256, (height, width, 3), dtype=np.uint8))

    return draw


@pytest.fixture
def png(picture) -> Callable[..., bytes]:
    """A function that gives a random image's PNG."""
    return lambda *arguments, **options: encode(picture(*arguments, **options))


@pytest.fixture
def tree(tmp_path, png) -> Callable[..., Path]:
    """A function that makes a folder of classes: `tree("train", cat=3, dog=2)`."""

    def grow(below: str = "", **classes: int) -> Path:
        root = tmp_path / "images"
        for label, count in classes.items():
            folder = root / below / label
            folder.mkdir(parents=True)
            for number in range(count):
                (folder / f"{number}.png").write_bytes(png(seed=number))
        return root

    return grow
