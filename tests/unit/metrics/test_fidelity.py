"""Fidelity metrics against formulas written out in numpy and scipy."""

import os
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import scipy.linalg
import torch
import torch_fidelity
from torch import Tensor
from torch.utils.data import Dataset

from tessera.config import results as config
from tessera.config.results import Evaluation
from tessera.errors import UserError
from tessera.metrics.extractors import (
    ClassifierFeatures,
    Extractor,
    Features,
    classifier_extractor,
    extract,
)
from tessera.metrics.fidelity import (
    METRICS,
    OF_STATISTICS,
    check_request,
    compare_features,
    kernel_subset_size,
    torch_fidelity_words,
)
from tessera.models.classifier import Classifier, ClassifierConfig

DIM, CLASSES = 6, 5


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    """An untrained classifier as extractor."""
    torch.manual_seed(0)
    model = Classifier(ClassifierConfig(width=16, image_size=16))
    return classifier_extractor(model, "toy-cnn")


def features(count: int, shift: float = 0.0) -> Features:
    """Random correlated features and logits in float64."""
    random = np.random.default_rng(count)
    mix = np.random.default_rng(7).normal(size=(DIM, DIM))
    values = random.normal(size=(count, DIM)) @ mix + shift
    return Features(
        torch.from_numpy(values), torch.from_numpy(random.normal(size=(count, CLASSES)))
    )


def images(count: int, seed: int) -> Tensor:
    """Random smooth-ish uint8 images [count, 3, 16, 16]."""
    generator = torch.Generator().manual_seed(seed)
    small = torch.rand(count, 3, 4, 4, generator=generator)
    large = torch.nn.functional.interpolate(small, scale_factor=4, mode="nearest")
    return (255 * large).byte()


def evaluate(samples: Tensor, reference: Tensor, extractor: Extractor, seed: int) -> dict[str, Any]:
    """Every metric, from images."""
    both = (extract(extractor, images, batch=64) for images in (samples, reference))
    return compare_features(*both, extractor, seed=seed)


def test_frechet_distance_against_scipy(extractor: Extractor) -> None:
    """|m1-m2|^2 + tr(C1 + C2 - 2 sqrtm(C1 C2)) with scipy's matrix root."""
    a, b = features(80), features(120, shift=0.5)
    x, y = a.features.numpy(), b.features.numpy()
    c1, c2 = np.cov(x.T), np.cov(y.T)
    root = scipy.linalg.sqrtm(c1 @ c2).real
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(c1 + c2 - 2 * root)
    result = compare_features(a, b, extractor, ["fid"])
    assert result["frechet_distance"] == pytest.approx(expected, rel=1e-8)


def test_frechet_distance_of_a_shifted_set(extractor: Extractor) -> None:
    """Moving a set by v, its covariance unchanged, costs |v|^2: a closed form."""
    a = features(60)
    moved = Features(a.features + 2.0, a.logits)
    distance = compare_features(a, moved, extractor, ["fid"])["frechet_distance"]
    assert distance == pytest.approx(4 * DIM, rel=1e-8)


def test_a_set_against_itself(extractor: Extractor) -> None:
    """A set is at distance 0 from itself and covers itself wholly."""
    a = features(60)
    result = compare_features(a, a, extractor, ["fid", "prc"])
    assert result["frechet_distance"] == pytest.approx(0.0, abs=1e-6)
    assert (result["precision"], result["recall"]) == (1.0, 1.0)


def test_kernel_distance_against_the_estimator(extractor: Extractor) -> None:
    """The unbiased MMD^2 with kernel (x.y/d + 1)^3, averaged over the 100 seeded subsets."""
    a, b = features(30), features(40, shift=0.3)
    size, random = 15, np.random.RandomState(11)

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (np.einsum("id,jd->ij", x, y) / DIM + 1) ** 3

    off = ~np.eye(size, dtype=bool)
    values = []
    for _ in range(100):
        x = a.features.numpy()[random.choice(30, size, replace=False)]
        y = b.features.numpy()[random.choice(40, size, replace=False)]
        values.append(kernel(x, x)[off].mean() + kernel(y, y)[off].mean() - 2 * kernel(x, y).mean())
    result = compare_features(a, b, extractor, ["kid"], seed=11)
    assert result["kernel_subset_size"] == size
    assert result["kernel_distance"] == pytest.approx(np.mean(values), rel=1e-9)
    assert result["kernel_distance_std"] == pytest.approx(np.std(values), rel=1e-9)


def test_score_of_uniform_predictions_is_one(extractor: Extractor) -> None:
    """A classifier that never prefers a class scores 1."""
    a = features(50)
    result = compare_features(Features(a.features, torch.zeros(50, 4)), a, extractor, ["isc"])
    assert result["classifier_score"] == pytest.approx(1.0)


def test_score_of_certain_balanced_predictions_is_the_class_count(extractor: Extractor) -> None:
    """Sure predictions over evenly spread classes score near K, never above."""
    logits = 1000.0 * torch.eye(4)[torch.arange(4000) % 4]
    result = compare_features(
        Features(torch.zeros(4000, 2), logits), features(10), extractor, ["isc"]
    )
    assert 3.9 < result["classifier_score"] <= 4.0


def test_score_against_the_definition(extractor: Extractor) -> None:
    """The exponential of the mean KL from the split's mean prediction, over 10 splits."""
    a = features(57)
    order = np.random.RandomState(4).permutation(57)
    p = np.exp(a.logits.numpy()[order])
    p /= p.sum(1, keepdims=True)
    scores = []
    for split in range(10):
        part = p[split * 57 // 10 : (split + 1) * 57 // 10]
        scores.append(np.exp((part * np.log(part / part.mean(0))).sum(1).mean()))
    result = compare_features(a, a, extractor, ["isc"], seed=4)
    assert result["classifier_score"] == pytest.approx(np.mean(scores), rel=1e-9)
    assert result["classifier_score_std"] == pytest.approx(np.std(scores), rel=1e-9)


def test_precision_and_recall_against_loops(extractor: Extractor) -> None:
    """A point counts if it lies in a ball of the other set that reaches its 3rd neighbour."""
    a, b = features(25), features(35, shift=1.0)

    def covered(points: np.ndarray, centres: np.ndarray) -> float:
        radii = [np.sort(np.linalg.norm(centres - c, axis=1))[3] for c in centres]  # [0] is itself
        inside = [
            any(np.linalg.norm(p - c) <= r for c, r in zip(centres, radii, strict=True))
            for p in points
        ]
        return float(np.mean(inside))

    x, y = a.features.numpy(), b.features.numpy()
    result = compare_features(a, b, extractor, ["prc"])
    assert result["precision"] == pytest.approx(covered(x, y), abs=1e-6)
    assert result["recall"] == pytest.approx(covered(y, x), abs=1e-6)
    assert 0 < result["precision"] < 1


def test_order_does_not_matter(extractor: Extractor) -> None:
    """Distances by moments, precision and recall do not see the order of either set."""
    a, b = features(40), features(50, shift=0.2)
    shuffled = Features(a.features[torch.randperm(40)], a.logits)
    backwards = Features(b.features.flip(0), b.logits)
    expected = compare_features(a, b, extractor, ["fid", "prc"])
    result = compare_features(shuffled, backwards, extractor, ["fid", "prc"])
    for key in ("frechet_distance", "precision", "recall"):
        assert result[key] == pytest.approx(expected[key], rel=1e-9)


class _Images(Dataset):
    """A tensor of images as torch-fidelity wants it."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    def __len__(self) -> int:
        return len(self.tensor)

    def __getitem__(self, index: int) -> Tensor:
        return self.tensor[index]


def test_against_torch_fidelity_end_to_end(extractor: Extractor) -> None:
    """All values equal those of torch-fidelity's own front end on the same images."""
    if "toy-cnn" not in torch_fidelity.registry.FEATURE_EXTRACTORS_REGISTRY:
        torch_fidelity.register_feature_extractor("toy-cnn", ClassifierFeatures)
    samples, reference = images(60, 1), images(70, 2)
    expected = torch_fidelity.calculate_metrics(
        input1=_Images(samples),
        input2=_Images(reference),
        feature_extractor="toy-cnn",
        classifier=extractor.network.classifier,
        isc=True,
        fid=True,
        kid=True,
        prc=True,
        kid_subset_size=kernel_subset_size(60, 70),
        rng_seed=5,
        cuda=False,
        cache=False,
        verbose=False,
        save_cpu_ram=True,
    )
    result = evaluate(samples, reference, extractor, seed=5)
    for ours, theirs in {
        "frechet_distance": "frechet_inception_distance",
        "classifier_score": "inception_score_mean",
        "classifier_score_std": "inception_score_std",
        "kernel_distance": "kernel_inception_distance_mean",
        "kernel_distance_std": "kernel_inception_distance_std",
        "precision": "precision",
        "recall": "recall",
    }.items():
        assert result[ours] == pytest.approx(expected[theirs], rel=1e-6, abs=1e-9)


def test_result_says_how_it_was_made(
    extractor: Extractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    """Results repeat bit for bit, name their protocol, print nothing and leave no file."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    samples, reference = images(40, 1), images(50, 2)
    result = evaluate(samples, reference, extractor, seed=1)
    assert result == evaluate(samples, reference, extractor, seed=1)
    assert (result["extractor"], result["extractor_digest"]) == ("toy-cnn", extractor.digest)
    assert (result["samples"], result["reference"], result["seed"]) == (40, 50, 1)
    assert not [key for key in result if "inception" in key or "fid" in key]
    assert os.listdir(tmp_path) == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("samples", "reference", "size"), [(50000, 50000, 1000), (300, 90, 45)])
def test_kernel_subsets_fit_the_sets(samples: int, reference: int, size: int) -> None:
    """Subsets have 1000 images, or half the smaller set."""
    assert kernel_subset_size(samples, reference) == size


@pytest.mark.parametrize(
    ("samples", "reference", "metrics", "message"),
    [
        (0, 20, ["fid"], "no sampled images"),
        (20, 0, ["fid"], "no reference images"),
        (9, 20, ["isc"], "isc needs at least 10 sampled images"),
        (20, 3, ["prc"], "prc needs at least 4 reference images"),
        (20, None, ["fid", "kid"], "kid needs the reference images, not only their statistics"),
        (9, None, ["isc"], "isc needs at least 10 sampled images"),
        (20, 20, ["is"], r"unknown fidelity metrics \(is\)"),
        (20, 20, [], r"\(none at all\)"),
    ],
)
def test_bad_requests_are_refused(
    samples: int, reference: int | None, metrics: list[str], message: str
) -> None:
    """Sets too small and unknown metrics are the user's to mend."""
    with pytest.raises(UserError, match=message):
        check_request(metrics, samples, reference)


def test_metrics_are_those_of_the_config() -> None:
    """All of them, and those that statistics allow."""
    assert torch_fidelity_words(get_args(config.Metric)) == METRICS
    assert torch_fidelity_words(config.OF_STATISTICS) == OF_STATISTICS


@pytest.mark.parametrize(("reference", "count"), [("statistics", None), ("views", 20)])
def test_the_metrics_of_a_config_are_computed(reference: str, count: int | None) -> None:
    """Those that a config allows against a reference, by default all, are no unknown words."""
    asked = Evaluation(**{reference: "given"}, extractor="inception", samplings=["set"]).metrics
    check_request(torch_fidelity_words(asked), 20, count)
    assert set(asked) == ({"fid", "is"} if count is None else {"fid", "is", "kid", "prc"})
