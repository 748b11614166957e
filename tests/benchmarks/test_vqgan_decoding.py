"""The arithmetic of VQGAN decoding's benchmark."""

import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import limits, vqgan_decoding
from tessera.models.vqgan import VQGAN, VQGANConfig

TINY = VQGANConfig(
    resolution=16, channels=8, multipliers=(1, 2, 1), residual_blocks=3, codes=11, code_width=6,
    norm_groups=4,
)  # fmt: skip


@pytest.mark.parametrize("config", [TINY, VQGANConfig()])
def test_operations(config: VQGANConfig) -> None:
    """Those that torch counts in the decoder."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        VQGAN(config).decode_codes(torch.zeros(1, config.grid**2, dtype=torch.long))
    assert counter.get_total_flops() == vqgan_decoding.flops(config)


def test_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a tiny size: finite, beside the limit and beside image by image."""
    monkeypatch.setattr(vqgan_decoding, "CONFIG", TINY)
    monkeypatch.setitem(limits.MATRIX_SIZE, "cpu", 64)
    report = vqgan_decoding.measure("cpu", full=False)
    assert all(math.isfinite(figure.ratio) and figure.ratio > 0 for figure in report.figures)
    assert len(report.figures) + len(report.left_out) == 3
    assert "50,000 images: " in report.figures[0].note
