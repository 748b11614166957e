"""A judge of digit samples that shares nothing with the models: an SVM on the original 8x8 digits.

The feature extractor of the fidelity metrics is a network trained on the same enlarged images as
the generators. This one is a support vector machine with a Gaussian kernel, fitted on the digits
of scikit-learn as they are (8x8, values 0..16); samples are brought down to that size by area
means. It is never the extractor of a Fréchet distance.

Shapes: N images, H height, W width.
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.svm import SVC

from tessera.errors import UserError

SIDE = 8
GAMMA = 0.001  # scikit-learn's own example for these digits
TOP = 16.0  # largest value of the original digits


class IndependentJudge:
    """Predicts the class of samples with a support vector machine on 8x8 values."""

    def __init__(self, digits: NDArray[np.floating], labels: NDArray[np.integer]) -> None:
        """Fits the machine.

        Args:
            digits: original training digits [N, 8, 8] or [N, 64], values 0..16.
            labels: classes [N].

        Raises:
            UserError: counts differ, or the values are not those of the original digits.
        """
        flat = np.asarray(digits, dtype=np.float64).reshape(len(digits), -1)
        if len(flat) != len(labels) or flat.shape[1:] != (SIDE * SIDE,):
            raise UserError(
                f"the judge got digits of shape {list(np.shape(digits))} and {len(labels)} labels: "
                "give the original 8x8 digits with one label each"
            )
        if flat.min() < 0 or not 1 < flat.max() <= TOP:
            raise UserError(
                f"the judge's digits run from {flat.min():g} to {flat.max():g}: give the original "
                "values 0..16"
            )
        self._machine = SVC(gamma=GAMMA).fit(flat, np.asarray(labels))

    def predict(self, samples: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Classes [N] of uint8 samples [N, H, W, 3], H and W multiples of 8."""
        values = original_values(samples).reshape(len(samples), -1)
        return self._machine.predict(values).astype(np.int64)

    def class_agreement(self, samples: NDArray[np.uint8], labels: NDArray[np.integer]) -> float:
        """Share of samples [N, H, W, 3] that the judge assigns to the class they were asked for."""
        if len(samples) != len(labels):
            raise UserError(
                f"the judge got {len(samples)} samples but {len(labels)} labels: give each one"
            )
        return float(np.mean(self.predict(samples) == np.asarray(labels)))

    def class_shares(self, samples: NDArray[np.uint8], classes: int = 10) -> NDArray[np.float64]:
        """Shares [classes] of the predicted classes among samples [N, H, W, 3]; they sum to 1."""
        return np.bincount(self.predict(samples), minlength=classes) / len(samples)


def original_values(samples: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Brings samples to the digits' own size and scale.

    Args:
        samples: uint8 [N, H, W, 3], H and W multiples of 8.

    Returns:
        Values [N, 8, 8] in [0, 16]: mean over channels and over each block of pixels, 255 to 16.

    Raises:
        UserError: the set is empty or its shape does not fit.
    """
    if samples.ndim != 4 or samples.shape[3] != 3 or samples.dtype != np.uint8:
        raise UserError(
            f"the judge takes uint8 samples [N, H, W, 3], not {samples.dtype} of "
            f"{list(samples.shape)}: convert them first"
        )
    count, height, width, _ = samples.shape
    if count == 0 or height % SIDE or width % SIDE:
        raise UserError(
            f"the judge cannot reduce {count} samples of {height}x{width} pixels to 8x8: give at "
            "least one, with sides that are multiples of 8"
        )
    blocks = samples.reshape(count, SIDE, height // SIDE, SIDE, width // SIDE, 3)
    return blocks.mean(axis=(2, 4, 5), dtype=np.float64) * (TOP / 255)
