"""Images on disk for the tests of data sets."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.unit.data.formats import (
    COUNTS,
    WNIDS,
    Sample,
    write_folder,
    write_parquet,
    write_webdataset,
)

from tessera.config import sources
from tessera.config.data import FolderData, ParquetData, WebDatasetData


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


@pytest.fixture(autouse=True)
def look_anew() -> Iterator[None]:
    """Files are looked at once a process; each test has others."""
    sources.forget()
    yield
    sources.forget()


@pytest.fixture
def imagenet(picture) -> dict[str, list[Sample]]:
    """Three classes as ImageNet has them: the samples of each split, classes mixed."""
    made: dict[str, list[Sample]] = {}
    for split, count in COUNTS.items():
        made[split] = []
        for number in range(count):
            for label, wnid in enumerate(WNIDS):
                seed = label + 3 * number + 100 * len(split)
                image = encode(picture(24 + number, 20 + label, seed), "JPEG")
                made[split].append((f"{wnid}_{number}", label, image))
    return made


@pytest.fixture
def stored(tmp_path, imagenet) -> Callable[..., Any]:
    """A function that writes the three classes as files of one kind; returns the settings."""

    def store(kind: str, samples: Any = None, **settings: Any) -> Any:
        samples, root = samples or imagenet, tmp_path / kind
        if kind in ("packed", "folder"):
            write_folder(root, samples)
            place = kind == "folder"
            shards = {"train": 3, "validation": 2}
            values = {"path": str(root), "in_place": place, "shards": shards} | settings
            return FolderData(kind="folder", **values)
        if kind == "parquet":
            write_parquet(root, samples)
            patterns = {s: f"{root}/{s}-*.parquet" for s in COUNTS}
            return ParquetData(kind="parquet", **(patterns | settings))
        how = {"webdataset_json": "json", "webdataset_wnid": "wnid"}.get(kind, "cls")
        write_webdataset(root, samples, how)
        patterns = {s: f"{root}/{s}-*.tar" for s in COUNTS}
        return WebDatasetData(kind="webdataset", **(patterns | settings))

    return store
