"""What a table of counts says about a vocabulary."""

import numpy as np
import pytest
from scipy.stats import entropy
from sklearn.metrics import mutual_info_score

from tessera.metrics.usage import class_entropies, entropy_bits, usage


def test_by_hand():
    """Two classes of four tokens: one uses two codes alike, the other one code alone."""
    table = np.array([[2, 2, 0, 0], [0, 4, 0, 0]])
    found = usage(table)
    assert found == {
        "codes": 8,
        "used": 2,
        "dead": 2,
        "entropy_bits": pytest.approx(2 - 0.75 * np.log2(3)),  # of 1/4 and 3/4
        "perplexity": pytest.approx(4 / 3**0.75),
        "class_entropy_bits": 0.5,  # 1 bit in one half of the tokens, 0 in the other
        "class_information_bits": pytest.approx(1.5 - 0.75 * np.log2(3)),
    }
    assert class_entropies(table).tolist() == [1, 0]


def test_against_scipy_and_scikit_learn():
    """On a table with empty codes and an empty class."""
    table = np.random.default_rng(0).poisson(0.5, (20, 300))
    table[:, 7] = table[3] = 0
    found = usage(table)
    assert found["entropy_bits"] == pytest.approx(entropy(table.sum(0), base=2), rel=1e-12)
    classes, codes = np.nonzero(table)
    repeats = table[classes, codes]
    nats = mutual_info_score(np.repeat(classes, repeats), np.repeat(codes, repeats))
    assert found["class_information_bits"] == pytest.approx(nats / np.log(2), rel=1e-9)
    assert class_entropies(table)[3] == 0
    assert class_entropies(table)[4] == pytest.approx(entropy(table[4], base=2))


def test_bounds():
    """All alike is log2 K, one code alone is 0, and classes without a difference tell nothing."""
    assert entropy_bits(np.full(512, 3)) == 9
    assert entropy_bits(np.array([0, 5, 0])) == 0
    alike = usage(np.full((4, 512), 3))
    assert alike["perplexity"] == pytest.approx(512)
    assert alike["class_information_bits"] == pytest.approx(0, abs=1e-12)
    assert alike["class_information_bits"] >= 0
