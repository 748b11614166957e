"""Sample sets and pictures on disk."""

import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

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


def read_adm(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Reads a sample set: images uint8 [N, H, W, 3], labels int64 [N] or None."""
    with np.load(path, allow_pickle=False) as archive:
        return archive["arr_0"], archive.get("arr_1")


def write_png(path: Path, image: np.ndarray) -> None:
    """Writes an image, uint8 [H, W, 3]."""
    with whole_file(path) as temporary:
        Image.fromarray(image).save(temporary, format="PNG")
