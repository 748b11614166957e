"""The arithmetic of masked sampling's benchmark."""

import math

import pytest
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import limits, masked_sampling
from tessera.models.maskgit import MaskGIT, MaskGITConfig

TINY = {
    "vocabulary": 11, "length": 9, "prefix_vocabulary": 7, "prefix_length": 5, "max_positions": 10,
    "norm": "pre", "width": 16, "layers": 2, "heads": 4, "ffn": 24,
}  # fmt: skip


def test_operations() -> None:
    """Those that torch counts in a sampling."""
    model = MaskGIT(MaskGITConfig(**TINY)).eval()
    with FlopCounterMode(display=False) as counter:
        masked_sampling.drawing(model, 3)()
    expected = 3 * masked_sampling.flops(model.config, masked_sampling.STEPS)
    assert counter.get_total_flops() == expected


def test_operations_of_one_step_by_hand() -> None:
    """Two layers over 15 positions of width 16, then 16 symbols at 9 positions."""
    products = 2 * 15 * (16 * 48 + 16 * 16 + 2 * 16 * 24)
    attention = 2 * 2 * 15 * 15 * 16
    expected = 2 * (products + attention) + 2 * 9 * 16 * 16
    assert masked_sampling.flops(MaskGITConfig(**TINY), 1) == expected


def test_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a tiny size: finite, and nothing promised that a processor does not do."""
    monkeypatch.setattr(masked_sampling, "SMALL", TINY)
    monkeypatch.setitem(limits.MATRIX_SIZE, "cpu", 64)
    report = masked_sampling.measure("cpu", full=False)
    assert all(math.isfinite(figure.ratio) and figure.ratio > 0 for figure in report.figures)
    assert {figure.target for figure in report.figures} == {None}
    assert len(report.figures) + len(report.left_out) == 2
