"""Published statistics of reference images: mean and covariance of their Inception features.

The layout is that of ADM's evaluation suite (arXiv:2105.05233): an .npz file with `mu` [D] and
`sigma` [D, D] over Inception's 2048 pooled features. ADM's files also hold statistics of other
features (`mu_s`, `sigma_s`) and sometimes images (`arr_0`); neither is read.
"""

import zipfile
import zlib
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from tessera.errors import UserError
from tessera.io.files import sha256_file

WIDTH = 2048
"""Inception's pooled features."""

_CURE = "give the reference statistics (mu, sigma) that ADM publishes"


@dataclass(frozen=True)
class Statistics:
    """Mean and covariance of a set's features.

    Attributes:
        mu: float64 [D].
        sigma: float64 [D, D].
        digest: SHA-256 of the file that they come from.
    """

    mu: NDArray[np.float64]
    sigma: NDArray[np.float64]
    digest: str


def read_statistics(path: Path | str, sha256: str | None = None, width: int = WIDTH) -> Statistics:
    """Reads statistics; nothing in the file is executed.

    Args:
        path: the .npz file.
        sha256: digest that it must have; None takes any.
        width: features that it must describe, D.

    Raises:
        UserError: the file is absent, another one, or holds no such statistics.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(
            f"the statistics {path} do not exist: download them there, or correct the path"
        )
    digest = sha256_file(path)
    if sha256 is not None and digest != sha256:
        raise UserError(
            f"the statistics {path} have the SHA-256 {digest}, the config says {sha256}: "
            "download them again, or correct the config"
        )
    try:
        with path.open("rb") as file, closing(_npz(file)) as archive:
            names = archive.files
            arrays = [archive[name] for name in ("mu", "sigma") if name in names]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(
            f"the statistics {path} cannot be read: the file is broken, no .npz, or holds Python "
            f"objects, which are never loaded; {_CURE}"
        ) from error
    if len(arrays) < 2:
        images = ": these are images, which belong under `views`" if "arr_0" in names else ""
        raise UserError(
            f"{path} holds {', '.join(names) or 'nothing'}, not mu and sigma{images}; {_CURE}"
        )
    for name, array, shape in zip(("mu", "sigma"), arrays, ((width,), (width, width)), strict=True):
        if array.shape != shape or array.dtype not in (np.float32, np.float64):
            raise UserError(
                f"{name} of {path} is {array.dtype} of shape {list(array.shape)}, not floats of "
                f"shape {list(shape)}: {_CURE}, over Inception's {width} features"
            )
        if not np.isfinite(array).all():
            raise UserError(f"{name} of {path} holds values that are not finite: {_CURE}")
    mu, sigma = (array.astype(np.float64) for array in arrays)
    # Rounding to float32 leaves this much; a covariance is symmetric otherwise.
    if not np.allclose(sigma, sigma.T, rtol=0, atol=1e-5 * np.abs(sigma).max()):
        raise UserError(f"sigma of {path} is no covariance, it is not symmetric: {_CURE}")
    if (sigma.diagonal() < 0).any():
        raise UserError(f"sigma of {path} is no covariance, a variance is negative: {_CURE}")
    return Statistics(mu, sigma, digest)


def _npz(file: IO[bytes]) -> NpzFile:
    archive = np.load(file, allow_pickle=False)
    if not isinstance(archive, NpzFile):
        raise ValueError("a single array")
    return archive
