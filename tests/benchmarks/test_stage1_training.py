"""The benchmark's arithmetic by hand, and a run at tiny sizes."""

import math

import pytest
import torch
from benchmarks.decoder_products import attention_flops, linear_products, model_flops
from benchmarks.originals import OriginalGPT
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import stage1_training as benchmark
from tessera.models.gpt import GPT, GPTConfig
from tessera.models.vit import ViTConfig

TINY = GPTConfig(
    vocabulary=11, length=4, width=8, layers=2, heads=2, ffn=16, norm="post", max_positions=5
)


def test_operations_by_hand():
    """6 x weights x positions, and for attention 2 products of 5 x 5 x 8, thrice, the half."""
    weights = 2 * (8 * 24 + 8 * 8 + 2 * 8 * 16) + 8 * 16
    positions = 3 * 5
    products = sum(p.flops for p in linear_products(TINY, 3))
    assert products == 6 * weights * positions
    attention = 2 * 3 * (2 * 2 * 5 * 5 * 8) * 3 / 2
    assert attention_flops(TINY, 3) == attention
    assert model_flops(TINY, 3) == products + attention


def test_operations_of_a_forward_pass_as_torch_counts_them():
    """A third of an update's; torch counts the whole square of attention."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        GPT(TINY).eval().logits(torch.zeros(3, 4, dtype=torch.long))
    flops = model_flops(TINY, 3) + attention_flops(TINY, 3)
    assert counter.get_total_flops() == flops / 3


def test_the_original_has_as_many_weights():
    """Its layers are ours: q, k and v apart, no final norm; rows of tables aside."""
    skipped = ("tokens", "positions")
    ours, theirs = (
        sum(p.numel() for name, p in m.named_parameters() if not name.startswith(skipped))
        for m in (GPT(TINY), OriginalGPT(TINY))
    )
    assert ours == theirs


def test_the_original_has_the_same_loss():
    """With our weights in its layers, without dropout: to 1e-5."""
    torch.manual_seed(0)
    model, original = GPT(TINY), OriginalGPT(TINY)
    state = {k: v for k, v in model.state_dict().items() if "." in k}
    with torch.no_grad():
        original.tokens.weight.copy_(state["tokens.weight"])
        original.positions.weight.copy_(state["positions.weight"][2:])
        original.output.weight.copy_(state["output.weight"])
        for mine, theirs in zip(model.layers, original.layers, strict=True):
            for name, part in (("q", 0), ("k", 1), ("v", 2)):
                layer = getattr(theirs, name)
                layer.weight.copy_(mine.attention.qkv.weight[8 * part : 8 * part + 8])
                layer.bias.copy_(mine.attention.qkv.bias[8 * part : 8 * part + 8])
            for one, two in (
                (theirs.out, mine.attention.out), (theirs.up, mine.feed_forward.up),
                (theirs.down, mine.feed_forward.down), (theirs.first, mine.attention_norm),
                (theirs.second, mine.feed_forward_norm),
            ):  # fmt: skip
                one.load_state_dict(two.state_dict())
    codes = torch.randint(11, (3, 4))
    expected = model.eval().loss(codes, label_smoothing=0.1)
    torch.testing.assert_close(original.eval()(codes), expected, atol=1e-5, rtol=0)


def test_a_run_at_tiny_sizes(monkeypatch):
    """All figures are finite, and the curve of bfloat16 is within its band."""
    encoder = ViTConfig(image_size=8, patch_size=4, width=8, depth=1, heads=2, registers=1)
    case = benchmark.Case("tiny", TINY, 2, 0.9, online=True, encoder=encoder, image=8)
    monkeypatch.setattr(benchmark, "CPU_CASES", (case,))
    report = benchmark.measure("cpu", False)
    assert len(report.figures) == 4
    for figure in report.figures:
        assert math.isfinite(figure.ratio)
        assert figure.value > 0
    assert report.figures[-1].reached


def test_the_curve_of_bfloat16():
    """Fifty updates of a small model that learns stay within 2 % of float32's, and differ."""
    exact, rounded = benchmark.loss_curves("cpu")
    assert exact[-1] < exact[0] - 1
    assert 0 < ((rounded - exact).abs() / exact).max() < benchmark.CURVE_BAND


@pytest.mark.parametrize(("case", "millions"), [(0, 219), (1, 732)])
def test_sizes_of_the_paper(case, millions):
    """Positions of 257 instead of 1,024 are all that is missing."""
    config = benchmark.GPU_CASES[case].config
    with torch.device("meta"):
        count = sum(p.numel() for p in GPT(config).parameters())
    assert count + (1024 - 257) * config.width == pytest.approx(millions * 1e6, rel=0.002)
