"""Uniform numbers: range, distribution, and what they depend on."""

import hashlib

import numpy as np
import pytest
import torch
from scipy import stats

from tessera.sampling.noise import uniforms


def test_a_sample_does_not_depend_on_the_batch() -> None:
    """Any split, order or subset of the ids gives each sample the same numbers."""
    whole = uniforms(7, "stage1", range(10), (3, 4))
    assert whole.shape == (10, 3, 4)
    assert whole.dtype == torch.float64
    parts = torch.cat([uniforms(7, "stage1", ids, (3, 4)) for ids in ([0, 1], range(2, 10))])
    assert torch.equal(parts, whole)
    assert torch.equal(uniforms(7, "stage1", torch.tensor([9, 3]), (3, 4)), whole[[9, 3]])


def test_equals_a_generator_a_sample() -> None:
    """Sample i has the numbers of a Philox generator of its own, at the counter i * 2**192."""
    key = int.from_bytes(hashlib.sha256(b"7/stage1").digest()[:16], "little")
    ids, count = [3, 0, 2**63, 4], 10  # 10 numbers leave two of a block of four unused
    raw = [np.random.Philox(key=key, counter=i << 192).random_raw(count) for i in ids]
    expected = ((np.stack(raw) >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
    assert np.array_equal(uniforms(7, "stage1", ids, (5, 2)).reshape(4, -1), expected)


def test_streams_and_seeds_differ() -> None:
    """No two of seed, stream and sample share numbers."""
    draws = [
        uniforms(seed, stream, [0, 1], (50,))
        for seed in (0, 1, -1, 2**70)
        for stream in ("a", "b", 1)
    ]
    numbers = torch.cat(draws).flatten()
    assert len(numbers.unique()) == len(numbers)


def test_distribution_is_uniform_and_samples_are_independent() -> None:
    """Kolmogorov-Smirnov over all, and no correlation between neighbouring samples."""
    values = uniforms(0, "x", range(200), (100,)).numpy()
    assert stats.kstest(values.ravel(), "uniform").pvalue > 0.01
    correlation = np.corrcoef(values[:-1].ravel(), values[1:].ravel())[0, 1]
    assert abs(correlation) < 4 / np.sqrt(values.size)


def test_ends_are_excluded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The smallest and the largest raw number give values inside (0, 1), also after a log."""

    class Extremes:
        def __init__(self, key: int) -> None:
            self.state = {"state": {"counter": np.zeros(4, dtype=np.uint64)}}

        def random_raw(self, count: int) -> np.ndarray:
            return np.array([0, 2**64 - 1], dtype=np.uint64)

    monkeypatch.setattr(np.random, "Philox", Extremes)
    low, high = uniforms(0, "x", [0], (2,))[0]
    assert 0 < low < high < 1
    assert torch.isfinite(torch.stack([low, high]).log().neg().log()).all()


def test_no_sample_is_an_empty_batch() -> None:
    """A last shard may be empty."""
    assert uniforms(0, "x", [], (4,)).shape == (0, 4)
