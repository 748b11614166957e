"""The support vector machine that judges digit samples."""

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.svm import SVC

from tessera.errors import UserError
from tessera.metrics.independent import IndependentJudge, original_values

DIGITS = load_digits()
TRAIN, TEST = slice(0, 1437), slice(1437, None)


@pytest.fixture(scope="module")
def judge() -> IndependentJudge:
    """A judge fitted on the first 1,437 digits."""
    return IndependentJudge(DIGITS.images[TRAIN], DIGITS.target[TRAIN])


def enlarged(digits: np.ndarray, resample: Image.Resampling) -> np.ndarray:
    """Digits [N, 8, 8] as uint8 [N, 32, 32, 3]."""
    pages = [
        Image.fromarray(np.round(digit * 255 / 16).astype(np.uint8)).resize((32, 32), resample)
        for digit in digits
    ]
    return np.stack([np.asarray(page) for page in pages])[..., None].repeat(3, axis=3)


def test_blocks_are_inverted_exactly() -> None:
    """Digits enlarged by repetition come back to within the rounding to bytes."""
    samples = enlarged(DIGITS.images[:50], Image.Resampling.NEAREST)
    assert np.abs(original_values(samples) - DIGITS.images[:50]).max() <= 0.5 * 16 / 255 + 1e-9


def test_area_mean_and_channels() -> None:
    """A value is the mean over its block and the three channels, 255 becoming 16."""
    sample = np.zeros((1, 16, 16, 3), dtype=np.uint8)
    sample[0, 0, 0] = [255, 0, 0]  # one of 4 pixels, one of 3 channels
    sample[0, 14:, 14:] = 255
    values = original_values(sample)
    assert values[0, 0, 0] == pytest.approx(16 / 12)
    assert values[0, 7, 7] == pytest.approx(16)
    assert values.sum() == pytest.approx(16 / 12 + 16)


def test_equals_the_machine_on_the_originals(judge: IndependentJudge) -> None:
    """On digits enlarged by repetition it says what scikit-learn says on the originals."""
    machine = SVC(gamma=0.001).fit(DIGITS.data[TRAIN], DIGITS.target[TRAIN])
    samples = enlarged(DIGITS.images[TEST], Image.Resampling.NEAREST)
    assert (judge.predict(samples) == machine.predict(DIGITS.data[TEST])).mean() > 0.995


def test_reads_bicubic_digits(judge: IndependentJudge) -> None:
    """Unseen digits enlarged as the pipeline does are read at 95 % or better."""
    samples = enlarged(DIGITS.images[TEST], Image.Resampling.BICUBIC)
    assert judge.class_agreement(samples, DIGITS.target[TEST]) >= 0.95


def test_agreement_and_shares(judge: IndependentJudge) -> None:
    """Agreement counts equal classes; shares count predictions and sum to 1."""
    samples = enlarged(DIGITS.images[:40], Image.Resampling.BICUBIC)
    predicted = judge.predict(samples)
    wrong = predicted.copy()
    wrong[:10] = (wrong[:10] + 1) % 10
    assert judge.class_agreement(samples, wrong) == pytest.approx(0.75)
    shares = judge.class_shares(samples)
    assert shares.shape == (10,)
    assert shares.sum() == pytest.approx(1.0)
    assert shares[3] == pytest.approx((predicted == 3).mean())


def test_bad_input_is_refused(judge: IndependentJudge) -> None:
    """Rescaled digits, odd sizes, floats and missing labels are the user's to mend."""
    with pytest.raises(UserError, match="give the original values"):
        IndependentJudge(DIGITS.images / 16, DIGITS.target)
    with pytest.raises(UserError, match="one label each"):
        IndependentJudge(DIGITS.images, DIGITS.target[:-1])
    with pytest.raises(UserError, match="multiples of 8"):
        judge.predict(np.zeros((2, 30, 32, 3), dtype=np.uint8))
    with pytest.raises(UserError, match="takes uint8"):
        judge.predict(np.zeros((2, 32, 32, 3)))
    with pytest.raises(UserError, match="2 samples but 1 labels"):
        judge.class_agreement(np.zeros((2, 32, 32, 3), dtype=np.uint8), np.array([1]))
