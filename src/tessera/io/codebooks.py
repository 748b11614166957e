"""Codebooks on disk: one numpy array [K, d], the form in which DiGIT publishes its `km_8k.npy`."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tessera.errors import UserError
from tessera.io.files import whole_file


def read_codebook(path: Path | str) -> NDArray[np.float32]:
    """The centroids of a file, float32 [K, d].

    Args:
        path: a file of `np.save` with an array [K, d] of float16, float32 or float64. Pickled
            objects are not read, so nothing in the file is executed.

    Raises:
        UserError: absent, damaged, pickled, of another shape or type, or with a value that is not
            finite in float32.
    """
    try:
        with Path(path).open("rb") as file:
            # The format alone is read: np.load would also take archives and pickles for numbers.
            array = np.lib.format.read_array(file, allow_pickle=False)
    except FileNotFoundError as error:
        raise UserError(
            f"{path} does not exist: run the stage that writes it, or correct the path"
        ) from error
    except (OSError, ValueError, EOFError) as error:
        raise UserError(
            f"{path} is damaged or no array of numbers ({_line(error)}): make or download it again"
        ) from error
    if array.ndim != 2 or 0 in array.shape or array.dtype.kind != "f":
        raise UserError(
            f"{path} holds {array.dtype} of the shape {list(array.shape)}, a codebook is floats "
            "[clusters, channels]: name the file of the centroids"
        )
    with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinity, refused below
        centroids = np.ascontiguousarray(array, dtype=np.float32)
    broken = np.flatnonzero(~np.isfinite(centroids).all(axis=1))
    if broken.size:
        raise UserError(
            f"{path} holds NaN or infinity in {broken.size} of {len(centroids)} centroids, first "
            f"in centroid {broken[0]}: make or download it again"
        )
    return centroids


def write_codebook(path: Path | str, centroids: NDArray[np.floating]) -> None:
    """Writes centroids [K, d] as float32, whole or not at all; `read_codebook` reads them.

    Raises:
        UserError: the disk is full.
        ValueError: the array is not [K, d].
    """
    if centroids.ndim != 2:
        raise ValueError(f"centroids must be [K, d], got {centroids.shape}")
    with whole_file(path) as temporary, temporary.open("wb") as stream:
        np.save(stream, np.ascontiguousarray(centroids, dtype=np.float32), allow_pickle=False)


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
