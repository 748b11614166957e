"""The benchmark of features: its arithmetic, and a run at a tiny size."""

import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import features, jpegs
from tessera.models.vit import DINOV2_SIZES, VisionTransformer, ViTConfig

TINY = ViTConfig(image_size=28, patch_size=14, width=24, depth=2, heads=2, registers=1)


def test_flops_by_hand():
    """One block of one channel, one patch and the class token."""
    one = ViTConfig(image_size=2, patch_size=2, width=1, depth=1, heads=1, registers=0)
    block = 2 * (4 + 8) + 2 * 2 * 2  # two tokens: matrices; scores, what they weigh
    assert features.encoder_flops(one, 2) == 2 * (block + 3 * 4)
    assert features.assignment_flops(one, 2) == 2 * features.CLUSTERS


@pytest.mark.parametrize("side", [28, 56])
def test_flops_are_those_that_torch_counts(side):
    """Of a forward pass."""
    model = VisionTransformer(TINY)
    with FlopCounterMode(display=False) as counted, torch.inference_mode():
        model.features(torch.randn(1, 3, side, side))
    assert counted.get_total_flops() == features.encoder_flops(TINY, side)


def test_flops_of_the_base_model():
    """256 patches, a class token and four registers: 47 GFLOP an image."""
    config = DINOV2_SIZES["dinov2_base"]
    assert features.encoder_flops(config, 224) / 1e9 == pytest.approx(47.0, abs=0.1)
    assert features.assignment_flops(config, 224) / 1e9 == pytest.approx(3.2, abs=0.05)


def test_photographs_are_of_usual_size():
    """JPEG files of ImageNet have 110 kB on average."""
    first = jpegs.photograph(0)
    assert first[:2] == b"\xff\xd8"
    assert 80_000 < len(first) < 150_000
    assert first != jpegs.photograph(1)


def test_a_run(monkeypatch):
    """Every figure is a finite number."""
    monkeypatch.setattr(features, "SMALL", features.Sizes(TINY, 4, 1, 2, 1, 1))
    monkeypatch.setattr(features, "CLUSTERS", 16)
    monkeypatch.setattr(features, "matrix_rate", lambda *_: 1e9)
    monkeypatch.setattr(jpegs, "decode_limit", lambda *_: 100.0)
    report = features.measure("cpu", False)
    assert len(report.figures) == 6
    assert report.left_out
    for figure in report.figures:
        assert math.isfinite(figure.ratio)
        assert figure.ratio > 0


def test_decoding_alone(tmp_path):
    """In processes that read the shard."""
    jpegs.write_shard(tmp_path / "s.tar", 3, 2)
    assert jpegs.decode_limit(tmp_path / "s.tar", 1, 1) > 0
