"""Where images come from: each source lists its images a split, in class order.

A source yields `Item`s: where the image is, its class, and a function that reads its bytes. What
is common (order, splits, packing) is not the sources' business.
"""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from tessera.config.data import DigitsData, FolderData
from tessera.errors import UserError

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm"}


@dataclass(frozen=True)
class Item:
    """One image before packing.

    Attributes:
        name: where it is, for messages.
        label: its class, an index into the class names.
        read: returns the bytes of an image file.
    """

    name: str
    label: int
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Source:
    """A data set before packing: class names, and items a split."""

    classes: list[str]
    splits: dict[str, list[Item]]


def open_source(settings: DigitsData | FolderData) -> Source:
    """Lists the images of a data set, split and put in the order in which they are packed.

    The order of a split is drawn by seed, so that any run of images holds all classes.

    Raises:
        UserError: a folder is missing, empty or has no classes.
    """
    if isinstance(settings, DigitsData):
        classes, splits = _digits(settings)
    else:
        classes, splits = _folder(settings)
    if "validation" not in splits:
        items = splits["train"]
        train, validation = _stratify(items, settings.validation_share, settings.seed)
        splits = {"train": train, "validation": validation}
    for split, items in splits.items():
        generator = np.random.Generator(np.random.PCG64([settings.seed, len(split)]))
        splits[split] = [items[i] for i in generator.permutation(len(items))]
    return Source(classes, splits)


def _digits(settings: DigitsData) -> tuple[list[str], dict[str, list[Item]]]:
    from sklearn.datasets import load_digits  # here: it takes seconds that only packing needs

    digits = load_digits()
    items = [
        Item(f"digit {i}", int(label), partial(_enlarge, image, settings.image_size))
        for i, (image, label) in enumerate(zip(digits.images, digits.target, strict=True))
    ]
    return [str(name) for name in digits.target_names], {"train": items}


def _enlarge(image: np.ndarray, size: int) -> bytes:
    """An 8x8 digit in 0..16 as the PNG of a grey size x size RGB image.

    Bicubic: its edges stay sharper than bilinear ones, and nearest would add steps of its own.
    """
    grey = Image.fromarray(np.round(image * (255 / 16)).astype(np.uint8))
    return png_bytes(grey.resize((size, size), Image.Resampling.BICUBIC).convert("RGB"))


def png_bytes(image: Image.Image) -> bytes:
    """The image as PNG."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def _folder(settings: FolderData) -> tuple[list[str], dict[str, list[Item]]]:
    root = Path(settings.path)
    if not root.is_dir():
        raise UserError(
            f"the image folder {root} does not exist: set `path` of this data set in the config"
        )
    validation = next((root / n for n in ("validation", "val") if (root / n).is_dir()), None)
    if validation is not None and not (root / "train").is_dir():
        raise UserError(
            f"{validation} is a validation split, but there is no {root / 'train'}: put the "
            "training images there, or name the folder of the classes itself"
        )
    folders = {"train": root / "train" if (root / "train").is_dir() else root}
    if validation is not None:
        folders["validation"] = validation
    classes = [entry.name for entry in _classes(folders["train"])]
    if not classes:
        raise UserError(
            f"{folders['train']} has no subfolders: put the images of each class into a folder "
            "of its own"
        )
    splits = {split: list(_items(folder, classes)) for split, folder in folders.items()}
    seen = {item.label for item in splits["train"]}
    empty = [folders["train"] / name for label, name in enumerate(classes) if label not in seen]
    empty += [folders[split] for split, items in splits.items() if not items]
    if empty:
        raise UserError(
            f"{empty[0]} holds no images ({', '.join(sorted(SUFFIXES))}): check `path` of this "
            "data set in the config, or remove the empty folder"
        )
    return classes, splits


def _classes(folder: Path) -> list[Path]:
    """The folders of the classes, in the order of their names; hidden ones are tools' own."""
    return sorted(e for e in folder.iterdir() if e.is_dir() and not e.name.startswith("."))


def _items(folder: Path, classes: list[str]) -> Iterator[Item]:
    known = {name: label for label, name in enumerate(classes)}
    for entry in _classes(folder):
        if entry.name not in known:
            raise UserError(
                f"{entry} is a class that the training split does not have: remove the folder, "
                "or add the class to the training split"
            )
        for path in sorted(entry.rglob("*")):
            if path.suffix.lower() in SUFFIXES and path.is_file():
                yield Item(str(path), known[entry.name], path.read_bytes)


def _stratify(items: list[Item], share: float, seed: int) -> tuple[list[Item], list[Item]]:
    from sklearn.model_selection import train_test_split

    labels = [item.label for item in items]
    try:
        train, validation = train_test_split(
            items, test_size=share, random_state=seed, stratify=labels
        )
    except ValueError as error:  # sklearn: a class with one image, or fewer images than classes
        raise UserError(
            f"the images cannot be split by class with validation_share {share} ({error}): "
            "add images, or change the share"
        ) from error
    return train, validation
