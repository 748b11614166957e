"""The benchmark of evaluation, with a network that takes no time."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.samples import smooth_images
from torch import Tensor, nn
from torch_fidelity import FeatureExtractorBase

from benchmarks import evaluation
from tessera.metrics.extractors import Extractor


class Quick(FeatureExtractorBase):
    """Mean colours for features, as wide as Inception's."""

    def __init__(self) -> None:
        super().__init__("quick", ["2048", "logits_unbiased"])

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return ("2048", "logits_unbiased")

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        means = images.float().mean((2, 3))
        return means.repeat(1, 8), means


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inception is replaced by something that takes no time, and statistics are as wide."""
    made = Extractor("inception-v3-compat", "", Quick(), "2048", "logits_unbiased")
    monkeypatch.setattr("tessera.metrics.extractors.inception_extractor", lambda _: made)
    monkeypatch.setattr(
        "torch_fidelity.FeatureExtractorInceptionV3", lambda *_, **__: nn.Sequential(Quick())
    )
    monkeypatch.setattr("tessera.metrics.statistics.WIDTH", 24)
    monkeypatch.setattr(evaluation, "random_weights", lambda path: path)
    monkeypatch.setattr(evaluation, "DISTINCT", 16)
    monkeypatch.setattr(evaluation, "BATCH", {False: 8, True: 8})
    monkeypatch.setattr(evaluation, "IMAGES", {False: 20, True: 40})
    monkeypatch.setattr(evaluation, "FILES", {False: 4, True: 4})
    monkeypatch.setattr(evaluation, "AFTER", 100)


@pytest.mark.parametrize(("full", "count"), [(False, 4), (True, 3)])
def test_report(quick: None, full: bool, count: int) -> None:
    """Both ways, at a tiny size."""
    report = evaluation.measure("cpu", full)
    assert len(report.figures) == count
    assert all(math.isfinite(figure.ratio) for figure in report.figures)
    assert not report.left_out


def test_without_torch_fidelity(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so."""
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    report = evaluation.measure("cpu", full=True)
    assert report.left_out == [evaluation.LEFT_OUT]
    assert not report.figures


def test_a_set_is_made_of_its_images_in_turn(quick: None, tmp_path: Path) -> None:
    """In batches, the last one smaller."""
    works = evaluation.Works(tmp_path, tmp_path, "cpu", 8)
    pieces = list(works.pieces(20))
    assert [len(piece) for piece in pieces] == [8, 8, 4]
    assert np.array_equal(np.concatenate(pieces)[16:], works.pixels[:4])
    assert torch.equal(works.files(3)(), works.features(3).features)


def test_images_are_bytes() -> None:
    """With channels last, none like another."""
    images = smooth_images(3)
    assert (images.shape, images.dtype) == ((3, 256, 256, 3), np.uint8)
    assert not np.array_equal(images[0], images[1])


def test_images_are_the_same_each_time() -> None:
    """Whatever was drawn before."""
    torch.manual_seed(1)
    first = smooth_images(2)
    torch.manual_seed(2)
    assert np.array_equal(smooth_images(2), first)
