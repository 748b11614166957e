"""Published reference statistics: what is read, what is refused, and the distance to them."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch

from tessera.errors import UserError
from tessera.metrics.extractors import Extractor, Features, classifier_extractor
from tessera.metrics.fidelity import compare_features
from tessera.metrics.names import INCEPTION
from tessera.metrics.statistics import Statistics, read_statistics
from tessera.models.classifier import Classifier, ClassifierConfig

WIDTH = 6


def moments(count: int = 50, dtype=np.float64) -> dict[str, np.ndarray]:
    """Mean and covariance of random correlated vectors."""
    random = np.random.default_rng(count)
    values = random.normal(size=(count, WIDTH)) @ random.normal(size=(WIDTH, WIDTH)) + 0.5
    return {"mu": values.mean(0).astype(dtype), "sigma": np.cov(values.T).astype(dtype)}


@pytest.fixture
def inception() -> Extractor:
    """An extractor that passes for Inception: nothing is extracted here."""
    classifier = classifier_extractor(Classifier(ClassifierConfig(width=16, image_size=16)), "cnn")
    return Extractor(INCEPTION, "0" * 64, classifier.network, "2048", "logits_unbiased")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_adm_files_are_read(tmp_path: Path, dtype) -> None:
    """The two arrays, whatever else the file holds, even what could not be loaded."""
    path, given = tmp_path / "adm.npz", moments(dtype=dtype)
    np.savez(
        path,
        **given,
        mu_s=np.zeros(7),
        sigma_s=np.zeros((7, 7)),
        arr_0=np.array([object()], dtype=object),
    )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    read = read_statistics(path, digest, WIDTH)
    assert read.mu.dtype == read.sigma.dtype == np.float64
    assert np.array_equal(read.mu, given["mu"])
    assert np.array_equal(read.sigma, given["sigma"])
    assert read.digest == digest


def test_the_distance_against_scipy(tmp_path: Path, inception: Extractor) -> None:
    """|m1-m2|^2 + tr(C1 + C2 - 2 sqrtm(C1 C2)) with scipy's matrix root, from float32 features."""
    path, given = tmp_path / "adm.npz", moments()
    np.savez(path, **given)
    x = np.random.default_rng(9).normal(size=(80, WIDTH)).astype(np.float32)
    samples = Features(torch.from_numpy(x), torch.zeros(80, 4))
    c1 = np.cov(x.T)
    root = scipy.linalg.sqrtm(c1 @ given["sigma"]).real
    expected = ((x.mean(0) - given["mu"]) ** 2).sum() + np.trace(c1 + given["sigma"] - 2 * root)
    read = read_statistics(path, width=WIDTH)
    result = compare_features(samples, read, inception, ["fid", "isc"])
    assert result["frechet_distance"] == pytest.approx(expected, rel=1e-5)
    assert result["classifier_score"] == pytest.approx(1.0)
    assert result["reference"] is None


def test_statistics_of_a_set_are_the_set(inception: Extractor) -> None:
    """The distance to a set's statistics is the distance to the set."""
    random = np.random.default_rng(4)
    a, b = (
        Features(torch.from_numpy(random.normal(size=(60, WIDTH)) + i), torch.zeros(60, 4))
        for i in range(2)
    )
    statistics = Statistics(b.features.numpy().mean(0), np.cov(b.features.numpy().T), "")
    over_images = compare_features(a, b, inception, ["fid"])["frechet_distance"]
    found = compare_features(a, statistics, inception, ["fid"])["frechet_distance"]
    assert found == pytest.approx(over_images, rel=1e-9)


def refused(path: Path, message: str, sha256: str | None = None, width: int = WIDTH) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read_statistics(path, sha256, width)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"arr_0": np.zeros((2, 4, 4, 3), np.uint8)}, "these are images, which belong under"),
        ({"mu": np.zeros(WIDTH)}, "holds mu, not mu and sigma"),
        (moments() | {"mu": np.zeros(WIDTH + 1)}, r"mu of .* of shape \[7\], not .* \[6\]"),
        (moments() | {"sigma": np.eye(WIDTH)[1:]}, r"sigma of .* of shape \[5, 6\]"),
        (moments() | {"mu": np.zeros(WIDTH, np.int64)}, "mu of .* is int64"),
        (moments() | {"mu": np.full(WIDTH, np.nan)}, "mu of .* values that are not finite"),
        (moments() | {"sigma": np.full((WIDTH, WIDTH), np.inf)}, "sigma of .* not finite"),
        (moments() | {"sigma": np.triu(np.ones((WIDTH, WIDTH)))}, "it is not symmetric"),
        (moments() | {"sigma": -np.eye(WIDTH)}, "a variance is negative"),
        (moments() | {"mu": np.array([object()], dtype=object)}, "are never loaded"),
    ],
)
def test_what_is_no_statistics(tmp_path: Path, arrays, message: str) -> None:
    """Images given for statistics, other features, damaged values."""
    np.savez(tmp_path / "adm.npz", **arrays)
    refused(tmp_path / "adm.npz", message)


def test_files_that_are_none(tmp_path: Path) -> None:
    """Absent, another one, no archive, cut off."""
    path = tmp_path / "adm.npz"
    refused(path, "do not exist")
    np.savez(path, **moments())
    refused(path, "have the SHA-256 .*, the config says 0000", "0" * 64)
    refused(path, r"shape \[6\], not floats of shape \[2048\]", width=2048)
    path.write_bytes(path.read_bytes()[:-50])
    refused(path, "cannot be read")
    path.write_text("mu and sigma")
    refused(path, "cannot be read")
    np.save(tmp_path / "mu.npy", np.zeros(WIDTH))
    refused(tmp_path / "mu.npy", "cannot be read")


def test_statistics_are_inceptions(inception: Extractor) -> None:
    """Of another extractor, and for metrics that need images, they say nothing."""
    statistics = Statistics(**moments(), digest="")
    samples = Features(torch.zeros(20, WIDTH), torch.zeros(20, 4))
    other = Extractor("cnn", "", inception.network, "features", "logits")
    with pytest.raises(UserError, match="say nothing about those of cnn"):
        compare_features(samples, statistics, other, ["fid"])
    for metric in ("kid", "prc"):
        with pytest.raises(UserError, match=f"{metric} needs the reference images"):
            compare_features(samples, statistics, inception, ["fid", metric])
