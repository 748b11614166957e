"""Stability of tokens under pixel noise."""

import math

import pytest
import torch
from torch import Tensor

from tessera.config.results import Stability
from tessera.errors import UserError
from tessera.metrics.stability import (
    add_noise,
    changed_share,
    cosine_similarity,
    measure_stability,
    normal_noise,
)

LEVELS = Stability.model_fields["levels"].default  # dB, as in the paper's table

IMAGES = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * torch.tensor(
    [0.1, 0.3, 0.5, 0.8, 1.0]
).view(5, 1, 1, 1)


def brightness(images: Tensor) -> tuple[Tensor, Tensor]:
    """A toy tokenizer: 4 rows of patches, token = mean in tenths, embedding = (mean, 1)."""
    means = images.mean(1).view(len(images), 4, -1).mean(2)  # [B, 4]
    return (10 * means).long(), torch.stack([means, torch.ones_like(means)], dim=-1)


@pytest.mark.parametrize("level", [*LEVELS, -10.0])
def test_realised_ratio(level: float) -> None:
    """Without clipping 10 log10(P_signal / P_noise) is the nominal level for each image."""
    noise = add_noise(IMAGES, level, normal_noise(0, level, range(5), (3, 8, 8))) - IMAGES
    for image, added in zip(IMAGES.double(), noise.double(), strict=True):
        ratio = 10 * math.log10(image.square().mean() / added.square().mean())
        assert ratio == pytest.approx(level, abs=1e-3)


def test_noise_is_white_and_normal() -> None:
    """The added noise has no mean, unit variance and a normal's fourth moment before scaling."""
    noise = normal_noise(3, 5.0, range(20), (3, 32, 32))
    assert noise.mean().item() == pytest.approx(0.0, abs=0.02)
    assert noise.var().item() == pytest.approx(1.0, abs=0.02)
    assert noise.pow(4).mean().item() == pytest.approx(3.0, abs=0.15)
    lag = (noise[..., 1:] * noise[..., :-1]).mean().item()
    assert lag == pytest.approx(0.0, abs=0.02)


def test_noise_depends_on_seed_level_and_image_alone() -> None:
    """Image i gets the same noise in any batch, another one for any other seed, level or image."""
    together, alone = (
        normal_noise(1, 5.0, range(4), (3, 8, 8)),
        normal_noise(1, 5.0, [2], (3, 8, 8)),
    )
    assert torch.equal(together[2:3], alone)
    others = [normal_noise(2, 5.0, [2], (3, 8, 8)), normal_noise(1, 1.0, [2], (3, 8, 8))]
    others.append(together[1:2])
    assert not any(torch.equal(alone, other) for other in others)


def test_clipping_keeps_the_range_and_weakens_the_noise() -> None:
    """Clipped images stay in [0, 1] and have less noise than nominal."""
    noise = normal_noise(0, 1.0, range(5), (3, 8, 8))
    clipped = add_noise(IMAGES, 1.0, noise, clip=True)
    assert 0 <= clipped.min() <= clipped.max() <= 1
    free = add_noise(IMAGES, 1.0, noise)
    assert (clipped - IMAGES).square().mean() < (free - IMAGES).square().mean()


def test_a_black_image_gets_no_noise() -> None:
    """No signal power, no noise power, and no NaN."""
    black = torch.zeros(1, 3, 8, 8)
    assert torch.equal(add_noise(black, 1.0, normal_noise(0, 1.0, [0], (3, 8, 8))), black)


def test_changed_share_counts() -> None:
    """The share of differing tokens of each image."""
    before = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]])
    after = torch.tensor([[1, 2, 3, 4], [5, 0, 7, 0]])
    assert changed_share(before, after).tolist() == [0.0, 0.5]


def test_cosine_in_closed_form() -> None:
    """Turning a vector by an angle gives the angle's cosine, whatever the length."""
    angles = torch.tensor([[0.0, math.pi / 3], [math.pi / 2, math.pi]])
    before = torch.tensor([1.0, 0.0]).expand(2, 2, 2)
    after = 3 * torch.stack([angles.cos(), angles.sin()], dim=-1)
    expected = torch.tensor([(1 + 0.5) / 2, (0 - 1) / 2])
    torch.testing.assert_close(cosine_similarity(before, after), expected)


@pytest.mark.parametrize("function", [changed_share, cosine_similarity])
def test_shapes_must_agree(function) -> None:
    """Sets of different shapes are an error, not a broadcast."""
    with pytest.raises(ValueError, match="shapes differ"):
        function(torch.zeros(2, 4, 3), torch.zeros(1, 4, 3))


def test_rows_against_a_loop() -> None:
    """Means and deviations equal those over every image and seed, measured one by one."""
    rows = measure_stability(IMAGES, [20.0, 1.0], [0, 1], {"toy": brightness}, batch=2)
    assert [(row["tokenizer"], row["snr_db"]) for row in rows] == [("toy", 20.0), ("toy", 1.0)]
    for row in rows:
        changed, cosine = [], []
        for image in range(5):
            for seed in (0, 1):
                noise = normal_noise(seed, row["snr_db"], [image], (3, 8, 8))
                clean = IMAGES[image : image + 1]
                noisy = add_noise(clean, row["snr_db"], noise)
                (tokens, before), (tokens_noisy, after) = brightness(clean), brightness(noisy)
                changed.append((tokens != tokens_noisy).double().mean().item())
                cosine.append(torch.cosine_similarity(before, after, dim=-1).mean().item())
        for name, values in (("changed", changed), ("cosine", cosine)):
            mean = sum(values) / 10
            spread = math.sqrt(sum((v - mean) ** 2 for v in values) / 9)
            assert row[f"{name}_mean"] == pytest.approx(mean, abs=1e-6)
            assert row[f"{name}_std"] == pytest.approx(spread, abs=1e-6)
        assert (row["images"], row["seeds"]) == (5, 2)


def test_batches_and_other_levels_change_nothing() -> None:
    """A row is the same whatever the batch and the other levels."""
    alone = measure_stability(IMAGES, [5.0], [0], {"toy": brightness}, batch=1)[0]
    among = measure_stability(IMAGES, [30.0, 5.0], [0], {"toy": brightness}, batch=5)[1]
    assert alone.keys() == among.keys()
    for key in ("changed_mean", "changed_std", "cosine_mean", "cosine_std"):
        assert alone[key] == pytest.approx(among[key], rel=1e-6)


def test_bytes_are_read_as_unit_floats() -> None:
    """uint8 images are divided by 255."""
    data = (255 * IMAGES).byte()
    settings: tuple = ([5.0], [0], {"toy": brightness})
    assert measure_stability(data, *settings) == measure_stability(data.float() / 255, *settings)


@pytest.mark.parametrize("empty", range(4))
def test_nothing_to_measure_is_refused(empty: int) -> None:
    """No image, level, seed or tokenizer is the user's to mend."""
    arguments: list = [IMAGES, [5.0], [0], {"toy": brightness}]
    arguments[empty] = arguments[empty][:0] if empty < 3 else {}
    with pytest.raises(UserError, match="at least one"):
        measure_stability(*arguments)
