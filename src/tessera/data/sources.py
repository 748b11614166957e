"""Where images come from: each source lists its images a split, in class order.

A source yields `Item`s: where the image is, its class, and a function that reads its bytes. What
is common (order, splits, packing) is not the sources' business.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from tessera.config.data import DigitsData, FolderData
from tessera.config.sources import SUFFIXES
from tessera.data.pixels import png_bytes
from tessera.errors import UserError


@dataclass(frozen=True, slots=True)
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
    """A data set before packing.

    Attributes:
        classes: the classes' names.
        splits: items a split.
        excluded: images a split that the settings leave out.
    """

    classes: list[str]
    splits: dict[str, list[Item]]
    excluded: dict[str, int] = field(default_factory=dict)


def open_source(settings: DigitsData | FolderData) -> Source:
    """Lists the images of a data set, split and put in the order in which they are packed.

    The order of a split is drawn by seed, so that any run of images holds all classes.

    Raises:
        UserError: a folder is missing, empty or has no classes.
    """
    excluded: dict[str, int] = {}
    if isinstance(settings, DigitsData):
        classes, splits = _digits(settings)
    else:
        classes, splits, excluded = _folder(settings)
    if "validation" not in splits:
        items = splits["train"]
        train, validation = _stratify(items, settings.validation_share, settings.seed)
        splits = {"train": train, "validation": validation}
    for split, items in splits.items():
        generator = np.random.Generator(np.random.PCG64([settings.seed, len(split)]))
        splits[split] = [items[i] for i in generator.permutation(len(items))]
    return Source(classes, splits, excluded)


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


def _folder(
    settings: FolderData,
) -> tuple[list[str], dict[str, list[Item]], dict[str, int]]:
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
    for folder in folders.values():
        if not _classes(folder):
            raise UserError(
                f"{folder} has no subfolders: put the images of each class into a folder of its "
                "own (for ImageNet's validation images the script valprep.sh, which is often "
                "passed on with them, does that)"
            )
    _require_level(folders["train"])
    classes = [entry.name for entry in _classes(folders["train"])]
    splits = {split: list(_items(folder, classes)) for split, folder in folders.items()}
    seen = {item.label for item in splits["train"]}
    empty = [folders["train"] / name for label, name in enumerate(classes) if label not in seen]
    empty += [folders[split] for split, items in splits.items() if not items]
    if empty:
        raise UserError(
            f"{empty[0]} holds no images ({', '.join(sorted(SUFFIXES))}): check `path` of this "
            "data set in the config, or remove the empty folder"
        )
    return classes, *_without(splits, root, settings.exclude)


def _require_level(train: Path) -> None:
    """Raises UserError where the folders are none of classes, but of whole data sets or splits.

    All images would be of one class, or of as many as there are data sets, without an error.
    """
    classes = _classes(train)
    for entry in classes:
        if (entry / "train").is_dir() and any((entry / n).is_dir() for n in ("validation", "val")):
            raise UserError(
                f"{entry} is no class but holds the splits of a data set: set `path` of this data "
                f"set to {entry}"
            )
    if len(classes) == 1 and (below := _classes(classes[0])):
        with os.scandir(classes[0]) as entries:
            own = any(os.path.splitext(e.name)[1].lower() in SUFFIXES for e in entries)
        if not own:
            raise UserError(
                f"{classes[0]}, the only folder in {train}, holds folders ({below[0].name}, …) "
                "and no images: if these are the classes, set `path` of this data set to the "
                "folder above them; if all images are of one class, put them straight into it"
            )


def _without(
    splits: dict[str, list[Item]], root: Path, exclude: tuple[str, ...]
) -> tuple[dict[str, list[Item]], dict[str, int]]:
    """The items that are not excluded, and how many of each split are."""
    unwanted = {str(root / name): name for name in exclude}
    found = {item.name for items in splits.values() for item in items if item.name in unwanted}
    require_found(exclude, {unwanted[name] for name in found})
    kept = {
        split: [item for item in items if item.name not in unwanted]
        for split, items in splits.items()
    }
    return kept, {split: len(splits[split]) - len(kept[split]) for split in splits}


def require_found(exclude: tuple[str, ...], found: set[str]) -> None:
    """Raises UserError where a name that was to be excluded names no image: a typing error."""
    unknown = [name for name in exclude if name not in found]
    if unknown:
        raise UserError(
            f"`exclude` of this data set names {unknown[0]!r}, but there is no such image: "
            "correct or remove the name"
        )


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
        for path in _images(str(entry), ()):
            yield Item(path, known[entry.name], partial(_read_file, path))


def _read_file(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _images(folder: str, above: tuple[str, ...]) -> Iterator[str]:
    """The image files below a folder, by name, links followed.

    Names are listed without a look at each file: ImageNet has 1.3 million of them.
    """
    real = os.path.realpath(folder)
    if real in above:
        raise UserError(f"{folder} links to a folder above itself: remove the link")
    with os.scandir(folder) as listed:
        entries = sorted(listed, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _images(entry.path, (*above, real))
        elif os.path.splitext(entry.name)[1].lower() in SUFFIXES and entry.is_file():
            yield entry.path


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
