"""Norm and swish in one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tessera.nn.group_norm import fits, norm_swish


def maps(*shape: int) -> torch.Tensor:
    """Far from mean 0, as the maps of a network are."""
    x = 2 * torch.randn(*shape, generator=torch.Generator().manual_seed(0)) + 1
    return x.contiguous(memory_format=torch.channels_last)


def norm(channels: int, groups: int) -> nn.GroupNorm:
    torch.manual_seed(1)
    made = nn.GroupNorm(groups, channels, eps=1e-6).requires_grad_(False)
    made.weight.uniform_(0.5, 2)
    made.bias.normal_()
    return made


def test_on_a_processor_it_is_one_after_the_other() -> None:
    """Where nothing is fused."""
    x, layer = maps(2, 8, 5, 7), norm(8, 4)
    assert torch.equal(norm_swish(layer, x), F.silu(layer(x)))


@pytest.mark.parametrize(
    ("channels", "groups", "fit"), [(128, 32, True), (96, 32, False), (8192, 32, False)]
)
def test_powers_of_two_fit(channels: int, groups: int, fit: bool) -> None:
    """Others are left to torch, and so are more channels than a program holds."""
    assert fits(nn.GroupNorm(groups, channels)) == fit


INTERPRETED = """
import torch
from tessera.nn import group_norm_kernel as kernel
kernel.PIXELS, kernel.TILE = 64, 512
cases = torch.load("cases.pt")
torch.save([kernel.group_norm_swish(*case) for case in cases], "found.pt")
"""


def test_the_kernel_equals_torch(tmp_path: Path) -> None:
    """In Triton's interpreter, which needs no GPU but a process of its own."""
    pytest.importorskip("triton")
    # One piece that is not full; several, the last one not full; one value a channel.
    shapes = [(2, 16, 5, 7), (1, 32, 12, 13), (3, 64, 1, 1)]
    layers = [norm(shape[1], 8) for shape in shapes]
    kinds = (torch.float32, torch.float16)
    cases = [
        (maps(*shape).to(kind), layer.weight.detach(), layer.bias.detach(), 8, layer.eps)
        for kind in kinds
        for shape, layer in zip(shapes, layers, strict=True)
    ]
    # Spread by a hundredth about 50: their squares do not differ in float32.
    far = (50 + maps(2, 16, 9, 9) / 100, torch.ones(16), torch.zeros(16), 8, 1e-6)
    cases.append(far)
    torch.save(cases, tmp_path / "cases.pt")
    subprocess.run(
        [sys.executable, "-c", INTERPRETED],
        cwd=tmp_path,
        env=os.environ | {"TRITON_INTERPRET": "1"},
        check=True,
    )
    for (x, weight, bias, *_), found in zip(cases, torch.load(tmp_path / "found.pt"), strict=True):
        doubles = [each.double() for each in (x, weight, bias)]
        expected = F.silu(F.group_norm(doubles[0], 8, *doubles[1:], 1e-6))
        assert found.dtype == x.dtype
        assert found.stride() == x.stride()
        error = 2e-6 if x.dtype == torch.float32 else 2e-3
        if x.mean() > 40:  # rounding of 50 is 4e-6, of which the spread is 5,000 times as much
            error = 5e-4
        assert (found.float() - expected).abs().max() < error * expected.abs().max()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("shape", [(2, 128, 64, 64), (4, 512, 16, 16)])
def test_on_a_gpu(shape: tuple[int, ...]) -> None:
    """Within the rounding of bfloat16, and the same every time."""
    x, layer = maps(*shape).cuda().bfloat16(), norm(shape[1], 32).cuda().bfloat16()
    with torch.inference_mode():
        found = norm_swish(layer, x)
        assert torch.equal(norm_swish(layer, x), found)
        expected = F.silu(layer.float()(x.float()))
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert (found.float() - expected).abs().max() < 1e-2 * expected.abs().max()
