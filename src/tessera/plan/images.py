"""How many images a data set has, as far as that is known before any of them is read."""

import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tessera.config.base import tracked_fields
from tessera.config.data import Data, DigitsData, FolderData, ParquetData, WebDatasetData
from tessera.config.paths import Paths
from tessera.config.schema import Config
from tessera.config.sources import SPLIT_FOLDERS, split_files
from tessera.errors import UserError

FILE_BYTES, FILE_PIXELS = 110_000, 180_000
"""A photograph of ImageNet on average: 110 kB, 469x387 pixels."""
LOOKED = 32
"""Classes of a folder whose files are counted; the others are taken to have as many."""


@dataclass(frozen=True)
class Images:
    """A data set.

    Attributes:
        train: images of the training split.
        validation: images of the other.
        classes: classes.
        pixels: pixels of an image as it is stored.
        bytes: bytes of an image as it is stored.
        assumed: how the counts were guessed; empty where they are known.
    """

    train: int
    validation: int
    classes: int
    pixels: float = FILE_PIXELS
    bytes: float = FILE_BYTES
    assumed: str = ""

    def count(self, split: str) -> int:
        """Images of a split."""
        return self.train if split == "train" else self.validation


def images(config: Config, name: str) -> Images:
    """What is known of a data set: from its finished shards, its settings, or a look at its files.

    Args:
        config: the validated config.
        name: the data set's.
    """
    data = config.data[name]
    side = getattr(data, "image_size", None)
    pixels = float(FILE_PIXELS if side is None else side**2)
    size = float(FILE_BYTES) if side is None else 300 + 0.6 * pixels
    if (found := _finished(Paths(config).card("data", name), data)) is not None:
        return Images(*found, pixels, size)
    if isinstance(data, DigitsData):
        held = round(1797 * data.validation_share)
        return Images(1797 - held, held, 10, pixels, size)
    if data.expect == "imagenet":
        return Images(1_281_167, 50_000, 1000, pixels, size)
    try:
        if isinstance(data, FolderData):
            return Images(*_folder(data.path, data.validation_share), pixels, size, "its folders")
        return Images(*_files(data), pixels, size, f"{FILE_BYTES // 1000} kB an image")
    except (OSError, UserError):
        return Images(1_281_167, 50_000, 1000, pixels, size, "ImageNet's, nothing is there yet")


def _finished(card: str, data: Data) -> tuple[int, int, int] | None:
    """Counts of finished shards with these settings: training, validation, classes."""
    try:
        read = json.loads(Path(card).read_text(encoding="utf-8"))
        settings, results = read["node"]["settings"], read["results"]
        dumped = data.model_dump(mode="json")
        if any(settings.get(key) != dumped[key] for key in tracked_fields(type(data))):
            return None
        return results["train_images"], results["validation_images"], results["classes"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


@cache
def _folder(path: str, share: float) -> tuple[int, int, int]:
    """Counts of a folder by the files of its first classes."""
    given = [name for name in SPLIT_FOLDERS if os.path.isdir(f"{path}/{name}")]
    if "train" not in given:
        counted, classes = _classes(path)
        return counted - round(share * counted), round(share * counted), classes
    counted, classes = _classes(f"{path}/train")
    if len(given) > 1:
        return counted, _classes(f"{path}/{given[1]}")[0], classes
    return counted - round(share * counted), round(share * counted), classes


def _classes(folder: str) -> tuple[int, int]:
    """Images and classes below a folder."""
    with os.scandir(folder) as entries:
        classes = sorted(entry.path for entry in entries if entry.is_dir())
    looked = classes[:LOOKED]
    files = sum(len(names) for path in looked for _, _, names in os.walk(path, followlinks=True))
    return round(files * len(classes) / max(1, len(looked))), len(classes)


def _files(data: WebDatasetData | ParquetData) -> tuple[int, int, int]:
    """Counts of tars or parquet files by their bytes; the classes are ImageNet's."""
    found = split_files(data)
    sizes = {split: sum(map(os.path.getsize, files)) for split, files in found.items()}
    train, validation = (max(1, sizes[split] // FILE_BYTES) for split in ("train", "validation"))
    return train, validation, 1000
