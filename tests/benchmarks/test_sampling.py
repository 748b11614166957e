"""What the benchmarks of sampling count, and that they run: at sizes of a second."""

import math
from typing import Any

import pytest
import torch
from benchmarks.sampling import Machine, Work, build, drawing, reckoned, work
from benchmarks.toolkit import Toolkit
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import sampling, stage1_sampling, stage2_sampling
from tessera.sampling import engine
from tessera.sampling.autoregressive import sample_autoregressive
from tessera.sampling.engine import Engine
from tessera.sampling.noise import uniforms

SMALL: dict[str, Any] = {
    "vocabulary": 11, "length": 6, "width": 16, "layers": 2, "heads": 4, "ffn": 32,
    "max_positions": 7, "norm": "post",
}  # fmt: skip
PREFIX = {"prefix_vocabulary": 7, "prefix_length": 5}


def test_work_by_hand() -> None:
    """Five steps after the start symbol; slots 2, 3, 4, 5, 6 of two layers are read."""
    found = work(build("cpu", SMALL).config, 3, 2)
    weights = 2 * (4 * 16 * 16 + 2 * 16 * 32) + 16 * 16  # 11 codes and 5 special symbols
    assert found.steps == 5
    assert found.step_flops == 2 * 3 * weights
    assert found.flops == 6 * found.step_flops
    assert found.weights == 2 * weights
    assert found.cache == 2 * 2 * 16 * (2 + 3 + 4 + 5 + 6) * 3 * 2


def test_products_are_those_that_run() -> None:
    """Of a prefix's products and of each step's, as torch counts them, without the attention."""
    model = build("cpu", SMALL | PREFIX)
    with FlopCounterMode(display=False) as counter:
        sample_autoregressive(
            model, uniforms(0, "t", range(3), (6,)), prefix=torch.zeros(3, 5).long()
        )
    counted = counter.get_flop_counts()["Global"]
    products = sum(n for kind, n in counted.items() if str(kind) in ("aten.addmm", "aten.mm"))
    seen = 4.0 * 2 * 16 * (6 * 7 / 2)
    assert work(model.config, 3, 4).flops == products + 3 * seen


def test_the_limit_adds_what_waits() -> None:
    """10 FLOPs before 4 steps of 5 FLOPs or 30 bytes, and 40 bytes of cache."""
    least = Work(flops=30, weights=30, cache=40, steps=4, step_flops=5)
    assert least.seconds(Machine(flops=10, bytes=10)) == 10 / 10 + 4 * 30 / 10 + 40 / 10
    assert least.seconds(Machine(flops=1, bytes=100)) == 10 + 4 * 5 + 40 / 100


def test_the_toolkit_computes_what_the_model_does() -> None:
    """With one code to choose from it is greedy, and it draws different codes otherwise."""
    model = build("cpu", SMALL)
    greedy = sample_autoregressive(model, uniforms(0, "t", range(4), (6,)), temperature=0.0)
    assert torch.equal(Toolkit(model)(4, 1), greedy)
    drawn = Toolkit(model)(4, 5)
    assert drawn.shape == (4, 6)
    assert 0 <= drawn.min() <= drawn.max() < 11
    assert len(drawn.unique(dim=0)) > 1


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little models, and a machine that need not be measured."""
    monkeypatch.setattr(
        Machine, "measured", classmethod(lambda cls, dtype, device: cls(1e11, 1e10))
    )
    for module in (stage1_sampling, stage2_sampling):
        monkeypatch.setattr(module, "REFERENCE", SMALL)
    monkeypatch.setattr(stage1_sampling, "TOP_K", 5)
    monkeypatch.setattr(stage1_sampling, "LARGER", (4, 8))
    monkeypatch.setattr(stage2_sampling, "PREFIX", PREFIX)
    monkeypatch.setattr(stage2_sampling, "BATCH", 4)


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("module", [stage1_sampling, stage2_sampling])
@pytest.mark.usefixtures("small")
def test_reports(module: Any, bfloat16: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finite figures with different names; bfloat16 is measured or left out."""
    monkeypatch.setattr(module, "fast_bfloat16", lambda device: bfloat16)
    report = module.measure("cpu", False)
    names = [figure.name for figure in report.figures]
    assert len(set(names)) == len(names) >= 2
    assert all(
        0 < figure.value < math.inf and 0 < figure.ratio < math.inf for figure in report.figures
    )
    assert any("bfloat16" in name for name in names) is bfloat16
    assert bool(report.left_out) is not bfloat16
    assert {figure.target for figure in report.figures} > {None}


def test_seconds_are_reckoned_from_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first and a second batch of 5 and 3 s, and 23 further ones of 2 s, for 100 images of 4."""
    turns = iter([5.0, 3.0, 2.0])
    monkeypatch.setattr(
        sampling, "time_side_by_side",
        lambda *given, **more: {"": sampling.Timing((next(turns),), 7)},
    )  # fmt: skip
    monkeypatch.setattr(
        Machine, "measured", classmethod(lambda cls, dtype, device: cls(1e11, 1e10))
    )
    monkeypatch.setattr(sampling, "IMAGES", 100)
    figures, again = reckoned(Engine(build("cpu", SMALL), 4), 60.0)
    assert again.median == 2.0
    assert [figure.value for figure in figures] == [5 + 3 + 23 * 2] * 2
    assert figures[0].other == 60.0
    assert figures[0].reached is True
    assert figures[1].other == pytest.approx(
        25 * work(build("cpu", SMALL).config, 4, 4).seconds(Machine(1e11, 1e10))
    )


def test_a_drawn_batch_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work draws as many images as it says, after prefixes of the model's vocabulary."""
    made = engine.Engine(build("cpu", SMALL | PREFIX), 4)
    assert drawing(made, 4)().shape == (4, 6)
