"""Maps of semantic tokens: each token in a colour of its own, tokens that mean alike in like ones.

No decoder says what a semantic token looks like, so its centroid does: the first three principal
components of all centroids are red, green and blue, as DINOv2 shows patch features (Oquab et al.,
arXiv 2304.07193, figure 1).
"""

import math

import numpy as np
from numpy.typing import NDArray

OUTLIERS = 2.0
"""Percent of the centroids at either end of a component that get its palest or deepest colour."""


def centroid_colours(centroids: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A colour for each centroid.

    Args:
        centroids: float [K, d].

    Returns:
        uint8 [K, 3]: the first three principal components, each stretched over the range of a
        colour; a component that does not vary, or that d is too small for, is mid-grey.
    """
    centred = centroids.astype(np.float64) - centroids.mean(axis=0, dtype=np.float64)
    _, axes = np.linalg.eigh(centred.T @ centred)  # ascending
    axes = axes[:, ::-1][:, :3]
    # An axis has no sign of its own: its largest entry is positive on every machine.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    found = centred @ axes
    colours = np.full((len(centroids), 3), 0.5)
    low, high = np.percentile(found, (OUTLIERS, 100 - OUTLIERS), axis=0)
    # A spread of nothing but rounding is none.
    varies = high - low > 1e-6 * max(1e-30, float(np.abs(centroids).max(initial=0)))
    scaled = (found[:, varies] - low[varies]) / (high - low)[varies]
    colours[:, : found.shape[1]][:, varies] = scaled.clip(0, 1)
    return np.rint(colours * 255).astype(np.uint8)


def token_maps(tokens: NDArray[np.integer], colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Tokens as little images, a pixel a token.

    Args:
        tokens: [N, T], row by row from the upper left; T is the square of a grid's side.
        colours: uint8 [K, 3].

    Returns:
        uint8 [N, side, side, 3].

    Raises:
        ValueError: T is no square.
    """
    side = math.isqrt(tokens.shape[1])
    if side**2 != tokens.shape[1]:
        raise ValueError(f"{tokens.shape[1]} tokens make no square")
    return colours[tokens].reshape(len(tokens), side, side, 3)
