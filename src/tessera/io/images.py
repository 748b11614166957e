"""Sample sets and pictures on disk."""

import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from tessera.errors import UserError
from tessera.io.files import whole_file


def write_adm(
    path: Path,
    images: Iterable[np.ndarray],
    shape: Sequence[int],
    labels: np.ndarray | None = None,
) -> None:
    """Writes a sample set in the layout of ADM's evaluation suite.

    Streams: 50,000 images of 256 pixels are 9.8 GB and need not be in memory. The bytes depend on
    the images alone (fixed times in the archive).

    Args:
        path: the `.npz` file: `arr_0` uint8 [N, H, W, 3], and `arr_1` int64 [N] where there are
            labels.
        images: the set in pieces, uint8 [n, H, W, 3].
        shape: (N, H, W, 3).
        labels: int64 [N], or None.

    Raises:
        ValueError: there are not N images.
    """
    with whole_file(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        with archive.open(zipfile.ZipInfo("arr_0.npy"), "w", force_zip64=True) as stream:
            header = {"descr": "|u1", "fortran_order": False, "shape": tuple(shape)}
            np.lib.format.write_array_header_1_0(stream, header)
            left = shape[0]
            for piece in images:
                left -= len(piece)
                stream.write(np.ascontiguousarray(piece, dtype=np.uint8).tobytes())
            if left:
                raise ValueError(f"{shape[0]} images were announced, {shape[0] - left} came")
        if labels is not None:
            with archive.open(zipfile.ZipInfo("arr_1.npy"), "w") as stream:
                np.lib.format.write_array(stream, labels.astype(np.int64), allow_pickle=False)


def adm_shape(path: Path) -> tuple[int, int, int, int]:
    """The shape (N, H, W, 3) of a sample set, without reading its images.

    Raises:
        UserError: as `iterate_adm`.
    """
    with _open_adm(path) as (_, shape):
        return shape


def iterate_adm(path: Path, batch: int) -> Iterator[np.ndarray]:
    """Reads a sample set in pieces: uint8 [at most `batch`, H, W, 3], in the set's order.

    Only one piece is in memory at a time.

    Raises:
        UserError: the file is absent, damaged, or no set of RGB images in ADM's layout.
    """
    with _open_adm(path) as (stream, (count, *size)):
        image = int(np.prod(size))
        for start in range(0, count, batch):
            pieces = min(batch, count - start)
            data = stream.read(pieces * image)
            if len(data) != pieces * image:
                raise EOFError
            # A bytearray can be written to, which torch asks of an array.
            yield np.frombuffer(bytearray(data), np.uint8).reshape(pieces, *size)


def pick_adm(path: Path, places: Collection[int], batch: int) -> Iterator[np.ndarray]:
    """Some images of a sample set, in the set's order; nothing is read beyond the last of them.

    Args:
        path: the set.
        places: which images, counted from 0.
        batch: images read at once.

    Yields:
        uint8 [at most `batch`, H, W, 3], never of no image.

    Raises:
        UserError: as `iterate_adm`.
    """
    wanted, start = set(places), 0
    for piece in iterate_adm(path, batch):
        here = [i for i in range(len(piece)) if start + i in wanted]
        if here:
            yield piece[here]
        start += len(piece)
        if start > max(wanted, default=0):
            return


@contextmanager
def _open_adm(path: Path) -> Iterator[tuple[IO[bytes], tuple[int, int, int, int]]]:
    """Opens `arr_0` behind its header; yields the stream of its bytes, and its shape."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open("arr_0.npy") as stream:
            version = np.lib.format.read_magic(stream)
            read_header = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, fortran_order, dtype = read_header(stream)
            if dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or fortran_order:
                raise UserError(
                    f"{path} holds {dtype} of shape {list(shape)}, not uint8 images [N, H, W, 3]: "
                    "give a sample set in ADM's layout"
                )
            yield stream, shape
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: run the stage `samples`") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError) as error:
        raise UserError(
            f"{path} is damaged, or no sample set in ADM's layout: make it again"
        ) from error


def write_png(path: Path, image: np.ndarray) -> None:
    """Writes an image, uint8 [H, W, 3]."""
    with whole_file(path) as temporary:
        Image.fromarray(image).save(temporary, format="PNG")
