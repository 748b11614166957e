"""The files of a data set and their state, so that a replaced image is noticed.

Nothing is read: names, sizes and times of change are enough to see that a file was replaced.
"""

import hashlib
import os
from collections.abc import Iterator
from functools import cache
from glob import glob
from pathlib import Path
from typing import Any

from tessera.config.data import FolderData, ParquetData, Watch, WebDatasetData
from tessera.config.published import is_stand_in
from tessera.errors import UserError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm"})
"""Endings of image files, in small letters."""


SPLIT_FOLDERS = ("train", "validation", "val")
"""Folders of splits, where a folder of images has them."""


def source_state(settings: Any) -> str | None:
    """The state of the files that a data set reads; None for one that reads none.

    Args:
        settings: the variant.

    Raises:
        UserError: there are no such files.
    """
    if isinstance(settings, FolderData):
        return fingerprint(settings.path, settings.watch)
    if isinstance(settings, WebDatasetData | ParquetData):
        files = split_files(settings)
        return _files_state(tuple((s, f) for s in files for f in files[s]), settings.watch)
    return None


def forget() -> None:
    """Looks at all files anew the next time; what was seen is kept as long as a process runs."""
    for seen in (fingerprint, _files_state, _matched):
        seen.cache_clear()


@cache
def fingerprint(path: str, watch: Watch) -> str:
    """A digest that changes when the folder does.

    Args:
        path: the source folder.
        watch: "files" looks at each file, "folders" at the folder of each class (a file added,
            removed or renamed), which for ImageNet is a thousand looks instead of a million.

    Raises:
        UserError: the folder does not exist, or was looked into and holds no image.
    """
    if not Path(path).is_dir():
        cure = "link your images there, or set `path`"
        if is_stand_in(path):
            cure = "run `make imagenet-shape`, which makes it"
        raise UserError(f"the image folder {path} does not exist: {cure}")
    if watch == "nothing":
        return ""
    digest = hashlib.sha256()
    images = False
    splits = [f"{path}/{name}" for name in SPLIT_FOLDERS if os.path.isdir(f"{path}/{name}")]
    read = splits if f"{path}/train" in splits else [path]  # what lies beside them is not read
    for folder, files in (found for split in read for found in _folders(split, watch)):
        images = images or any(os.path.splitext(name)[1].lower() in SUFFIXES for name in files)
        relative = os.path.relpath(folder, path)
        if watch == "folders":
            # The folder of all classes changes its time for anything that is put beside them.
            entries = [] if folder in read else [(folder, relative)]
        else:
            below = "" if relative == "." else f"{relative}/"
            entries = [(f"{folder}/{name}", f"{below}{name}") for name in sorted(files)]
        for entry, name in entries:
            try:
                state = os.stat(entry)
            except FileNotFoundError:
                state = os.lstat(entry)  # a dead link
            size = state.st_size if watch == "files" else 0
            digest.update(os.fsencode(f"{name}\0{size}\0{state.st_mtime_ns}\n"))
    if not images:
        raise UserError(
            f"the image folder {path} holds no images ({', '.join(sorted(SUFFIXES))}): check "
            "`path` of this data set in the config"
        )
    return digest.hexdigest()[:20]


def _folders(root: str, watch: Watch) -> Iterator[tuple[str, list[str]]]:
    """The folders at and below `root` that are looked at, in order, with their files.

    For "folders" these are the classes alone, and only the first of them is looked into: the names
    of a million files would take seconds to list, in every process that reads the config.
    """
    if watch == "files":
        # Links are followed: classes are often links into a larger data set.
        yield from ((folder, files) for folder, _, files in sorted(os.walk(root, followlinks=True)))
        return
    with os.scandir(root) as entries:
        classes = sorted(entry.path for entry in entries if entry.is_dir())
    yield root, []
    looked = False
    for folder in classes:
        files = [] if looked else [f for _, _, fs in os.walk(folder, followlinks=True) for f in fs]
        looked = looked or any(os.path.splitext(f)[1].lower() in SUFFIXES for f in files)
        yield folder, files


@cache
def _files_state(files: tuple[tuple[str, str], ...], watch: Watch) -> str:
    """A digest of the files of each split: of their names, and of sizes and times as well."""
    if watch == "nothing":
        return ""
    digest = hashlib.sha256()
    for split, file in files:
        state = os.stat(file)
        seen = f"{state.st_size}\0{state.st_mtime_ns}" if watch == "files" else ""
        digest.update(os.fsencode(f"{split}\0{file}\0{seen}\n"))
    return digest.hexdigest()[:20]


def split_files(settings: WebDatasetData | ParquetData) -> dict[str, tuple[str, ...]]:
    """The files of each split, in the order in which their images are numbered.

    Without a pattern for validation, whole files are held out.

    Raises:
        UserError: a pattern matches nothing, a file is in both splits, or there is but one file
            to split.
    """
    train = _matched(settings.train)
    if settings.validation is not None:
        validation = _matched(settings.validation)
        both = sorted(set(train) & set(validation))
        if both:
            raise UserError(
                f"{both[0]} is matched by both `train` and `validation` of this data set: give "
                "each split files of its own"
            )
        return {"train": train, "validation": validation}
    if len(train) < 2:
        raise UserError(
            f"{train[0]} is the only file, so none can be held out: set `validation` of this data "
            "set in the config"
        )
    count = min(len(train) - 1, max(1, round(settings.validation_share * len(train))))

    def draw(file: str) -> str:
        return hashlib.sha256(f"{settings.seed}/{os.path.basename(file)}".encode()).hexdigest()

    held = set(sorted(train, key=draw)[:count])
    return {
        "train": tuple(file for file in train if file not in held),
        "validation": tuple(file for file in train if file in held),
    }


@cache
def _matched(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """The files that patterns match, each once, sorted by name."""
    found: set[str] = set()
    for pattern in patterns:
        # A file may have brackets in its name.
        files = [pattern] if os.path.isfile(pattern) else glob(pattern, recursive=True)
        files = [file for file in files if os.path.isfile(file)]
        if not files:
            braces = ", and write * for a range in braces" if "{" in pattern else ""
            raise UserError(
                f"no file matches {pattern}: correct the pattern of this data set in the "
                f"config{braces}"
            )
        found |= {os.path.normpath(file) for file in files}
    return tuple(sorted(found))
