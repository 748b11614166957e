"""Which arrays a zarr part holds: read from the index of its zip, without zarr and without chunks.

zarr takes half a second to import, and reads an absent chunk as zeros without a word. So a card
tells the shapes of what its job wrote, and the digest vouches for the chunks.
"""

import json
import zipfile
from pathlib import Path

PART_SUFFIX = ".zarr.zip"
"""How the files of parts end."""


def part_shapes(path: Path | str) -> dict[str, list[int]]:
    """The shape of each array of a part, by its name.

    Raises:
        ValueError: the file is no part, or not all of one.
        OSError: the file is absent or cannot be read.
    """
    shapes = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                array, _, last = name.rpartition("/")
                if last == "zarr.json" and array:  # the one without a folder is the group's
                    shapes[array] = [int(size) for size in json.loads(archive.read(name))["shape"]]
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise ValueError(f"no whole zip file: {error}") from error
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"no zarr group: {error!r}") from error
    return shapes
