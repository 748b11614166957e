"""Image files in a folder, read in place: lists of their paths and classes.

A line of a list is the path below the folder, a tab and the class. The paths of ImageNet would
fill an index of 60 MB that every job would read whole.
"""

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from tessera.data.records import Entry, Record, require_count, require_size
from tessera.data.sources import Item
from tessera.errors import UserError
from tessera.io.files import whole_file


def write_lists(items: Sequence[Item], root: Path, paths: Sequence[Path]) -> list[Entry]:
    """Writes the items of one split as lists of nearly equal length.

    Args:
        items: the images in their order; their names are paths below `root`.
        root: the folder.
        paths: the lists to write.

    Returns:
        The lists' entries in the index.

    Raises:
        UserError: fewer images than lists, or a name with a tab or a line break in it.
    """
    if len(items) < len(paths):
        raise UserError(
            f"{len(items)} images do not fill {len(paths)} shards: lower `shards` of this data set"
        )
    entries = []
    below = len("" if root == Path() else os.path.join(root, ""))
    bounds = np.linspace(0, len(items), len(paths) + 1).astype(int).tolist()
    for path, start, stop in zip(paths, bounds[:-1], bounds[1:], strict=True):
        with (
            whole_file(path) as temporary,
            temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="\n") as file,
        ):
            for item in items[start:stop]:
                name = item.name[below:]
                if "\t" in name or "\n" in name:
                    raise UserError(f"{item.name!r} has a tab or line break in it: rename it")
                file.write(f"{name}\t{item.label}\n")
        count = stop - start
        entries.append({"file": path.name, "format": "files", "count": count, "first": start})
    return entries


def read_list(path: Path, root: Path, entry: Entry) -> Iterator[Record]:
    """The images of one list.

    Args:
        path: the list.
        root: the folder of the images.
        entry: the list's entry in the index.

    Raises:
        UserError: the list or the folder is gone, or the list has another number of lines.
    """
    if not root.is_dir():
        raise UserError(
            f"the images of {path} lay in {root}, which is not there: bring it back, or set "
            "`path` of the data set to where it is now and run the stage `shards` again"
        )
    seen = 0
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            for line in file:
                name, _, label = line.rstrip("\n").rpartition("\t")
                where = str(root / name)
                yield Record(
                    entry["first"] + seen, int(label), where, partial(_read, where), name
                )  # fmt: skip
                seen += 1
    except FileNotFoundError as error:
        raise UserError(f"the list {path} does not exist: run the stage `shards`") from error
    except ValueError as error:
        raise UserError(
            f"{path} is no list of images: delete it and run the stage `shards` again"
        ) from error
    require_count(path, entry, seen)


def _read(path: str) -> bytes:
    try:
        require_size(os.path.getsize(path), "it")
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise UserError(f"it cannot be read ({error.strerror})") from error
