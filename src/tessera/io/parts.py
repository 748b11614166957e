"""Arrays on disk: zarr v3 parts, one file a job.

A part is one zip file that holds one zarr group. It is written under a temporary name and renamed
when whole; nobody changes it afterwards. Parts of one set share their array names and trailing
shapes; dask reads them as one lazy array. Written by one process each: concurrent writers inside
one zarr shard corrupt data.
"""

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.abc.buffer import Buffer
from zarr.errors import GroupNotFoundError
from zarr.storage import ZipStore

from tessera.errors import UserError
from tessera.io.files import REPAIR, whole_file

if TYPE_CHECKING:
    import dask.array as da

CHUNK_BYTES = 4 * 2**20
"""A chunk's size: from 1 MB up, reading is bound by the disk and not by the number of reads."""


class _Archive(ZipStore):
    """A zip file whose bytes depend on the arrays alone: equal runs have equal digests."""

    def _set(self, key: str, value: Buffer) -> None:
        # As in the parent, but for the time of writing, which would be in the file.
        entry = zipfile.ZipInfo(key, date_time=(1980, 1, 1, 0, 0, 0))
        entry.external_attr = 0o644 << 16
        self._zf.writestr(entry, value.to_bytes())


def write_part(
    path: Path | str, arrays: Mapping[str, np.ndarray], attributes: Mapping[str, Any]
) -> None:
    """Writes arrays that share their first axis into one part.

    Args:
        path: the part's file, `part-0000-of-0001.zarr.zip`.
        arrays: name → array [N, …]; chunked along the first axis only, uncompressed (features in
            float16 and tokens do not compress enough to pay for the time).
        attributes: JSON values that describe the arrays.

    Raises:
        UserError: the disk is full.
        ValueError: the arrays differ in length.
    """
    if len({len(array) for array in arrays.values()}) > 1:
        raise ValueError(f"arrays of one part differ in length: {_shapes(arrays)}")
    with (
        whole_file(path) as temporary,
        _Archive(temporary, mode="w", compression=zipfile.ZIP_STORED) as store,
    ):
        group = zarr.create_group(store, attributes=dict(attributes), zarr_format=3)
        for name, array in arrays.items():
            row_bytes = max(1, array.dtype.itemsize * int(np.prod(array.shape[1:])))
            rows = max(1, min(len(array), CHUNK_BYTES // row_bytes))
            stored = group.create_array(
                name,
                shape=array.shape,
                dtype=array.dtype,
                chunks=(rows, *array.shape[1:]),
                compressors=None,
            )
            # Chunk by chunk: zarr would write them in the order in which its threads end.
            for start in range(0, len(array), rows):
                stored[start : start + rows] = array[start : start + rows]


def read_part(path: Path | str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Reads a part into memory: its arrays and its attributes.

    Raises:
        UserError: the file is absent, truncated or no part.
    """
    with _open(path) as store:
        try:
            group = zarr.open_group(store, mode="r")
            arrays = {name: np.asarray(array[:]) for name, array in group.arrays()}
            attributes = dict(group.attrs)
        except (zipfile.BadZipFile, GroupNotFoundError) as error:
            raise UserError(f"{path} is damaged ({error}): {REPAIR}") from error
    if len({len(array) for array in arrays.values()}) > 1:
        raise UserError(f"{path} is damaged (arrays of other lengths: {_shapes(arrays)}): {REPAIR}")
    return arrays, attributes


def open_parts(paths: Sequence[Path | str]) -> tuple[dict[str, "da.Array"], dict[str, Any]]:
    """Opens parts as one lazy dask array a name, concatenated in the order given.

    Returns:
        Arrays [sum of N, …] and the first part's attributes.

    Raises:
        UserError: no part, a damaged part, or parts that do not belong together.
    """
    import dask.array as da  # here, because reading into memory does without its second of import

    if not paths:
        raise UserError("no parts were given: run the stage that writes them first")
    groups = [zarr.open_group(_open(path), mode="r") for path in paths]
    names = sorted(groups[0].array_keys())
    for path, group in zip(paths, groups, strict=True):
        if sorted(group.array_keys()) != names:
            raise UserError(f"{path} holds other arrays than {paths[0]}: delete both and run again")
    arrays = {
        name: da.concatenate([da.from_zarr(group[name]) for group in groups], axis=0)
        for name in names
    }
    return arrays, dict(groups[0].attrs)


@contextmanager
def open_part(path: Path | str) -> Iterator[zarr.Group]:
    """Opens a part to be read in pieces; the file is closed at the end of the block.

    Raises:
        UserError: the file is absent, truncated or no part.
    """
    with _open(path) as store:
        try:
            group = zarr.open_group(store, mode="r")
        except GroupNotFoundError as error:
            raise UserError(f"{path} is damaged ({error}): {REPAIR}") from error
        yield group


def _open(path: Path | str) -> ZipStore:
    try:
        store = ZipStore(path, mode="r")
        store._sync_open()
        return store
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: run the stage that writes it") from error
    except zipfile.BadZipFile as error:
        raise UserError(f"{path} is damaged (no whole zip file): {REPAIR}") from error


def _shapes(arrays: Mapping[str, np.ndarray]) -> str:
    return ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
