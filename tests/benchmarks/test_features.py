"""The benchmark of features: its arithmetic, and a run at a tiny size."""

import math
from threading import Barrier, Thread

import pytest
import torch
from benchmarks.harness import Timing
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
    assert len(report.figures) == 8
    assert report.left_out
    for figure in report.figures:
        assert math.isfinite(figure.ratio)
        assert figure.ratio > 0
    aims = {figure.name: figure.target for figure in report.figures if figure.target}
    assert aims == {"tokens from shards, float32": 0.9, "features from shards, float32": 0.9}


def test_on_a_gpu_both_have_a_limit(monkeypatch):
    """Of features the products of the assignment are no part."""
    rates = {torch.bfloat16: 1e12, torch.float32: 1e11}
    monkeypatch.setattr(features, "matrix_rate", lambda dtype, _: rates[dtype])
    timings = {name: Timing((2.0,)) for name in ("bare", "tokens", "features")}
    figures = features.limited(timings, features.SMALL, "cuda", "bfloat16", 20.0, 0.7)
    assert [(figure.name, figure.target) for figure in figures] == [
        ("tokens from shards, bfloat16, limit", 0.7),
        ("features from shards, bfloat16, limit", 0.7),
        ("encoder alone, bfloat16", None),
    ]
    seconds = features.encoder_flops(features.SMALL.model, jpegs.SIDE) / 1e12
    assigning = features.assignment_flops(features.SMALL.model, jpegs.SIDE) / 1e11
    expected = [min(20.0, 1 / (seconds + assigning)), min(20.0, 1 / seconds), 1 / seconds]
    assert [figure.other for figure in figures] == pytest.approx(expected)


@pytest.fixture(params=[1, 2])
def threads(request):
    """Threads of torch."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_the_bare_forward_is_the_pipelines_own(monkeypatch, tmp_path, threads):
    """Its images are shared out among threads; in the plain one all of them are one call's."""
    sizes = features.Sizes(TINY, 4, 1, 4, 1, 1)
    model, counts = VisionTransformer(TINY), []
    forward = model.features
    monkeypatch.setattr(model, "features", lambda x: counts.append(len(x)) or forward(x))
    works = features.make_works(model, tmp_path, sizes, "cpu", False, 1)
    works["bare"]()
    assert counts == ([2, 2] if threads == 2 else [4])
    works["plain"]()
    assert counts[-1] == 4


def test_decoding_alone(tmp_path):
    """In processes that read the shard."""
    jpegs.write_shard(tmp_path / "s.tar", 3, 2)
    assert jpegs.decode_limit(tmp_path / "s.tar", 2, 1) > 0


def test_decoding_begins_when_all_are_there(tmp_path):
    """A process that has started waits for the others."""
    jpegs.write_shard(tmp_path / "s.tar", 1)
    started = Barrier(2)
    first = Thread(target=jpegs._begin, args=(tmp_path / "s.tar", started), daemon=True)
    first.start()
    first.join(0.5)
    assert first.is_alive()
    jpegs._begin(tmp_path / "s.tar", started)
    first.join(60)
    assert not first.is_alive()
