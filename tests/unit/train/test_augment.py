"""Random views."""

from dataclasses import replace

import pytest
import torch

from tessera.train.augment import ViewConfig, random_noise, random_views

PLAIN = ViewConfig(
    size=8,
    scale=(1.0, 1.0),
    ratio=(1.0, 1.0),
    flip=0.0,
    brightness=0.0,
    contrast=0.0,
    blur_probability=0.0,
)


def images(count: int = 4, side: int = 8) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randint(256, (count, 3, side, side), dtype=torch.uint8)


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)


def test_nothing_switched_on() -> None:
    """The whole image at its own size comes back as values in [0, 1]."""
    close(random_views(images(), PLAIN), images().float() / 255)


def test_flip() -> None:
    """Mirroring turns left and right round."""
    close(random_views(images(), replace(PLAIN, flip=1.0)), images().flip(3).float() / 255)


def test_zooming_out_pads_with_zeros() -> None:
    """At four times the area the image fills the middle half of the view, the rest is 0."""
    view = random_views(torch.full((1, 3, 8, 8), 255.0) / 255, replace(PLAIN, scale=(4.0, 4.0)))
    expected = torch.zeros(1, 3, 8, 8)
    expected[:, :, 2:6, 2:6] = 1
    close(view, expected)


def test_crops_stay_inside() -> None:
    """Without shift, rotation and zooming out a crop of a white image is white."""
    config = ViewConfig(size=6, brightness=0.0, contrast=0.0, padding="border")
    view = random_views(torch.full((200, 3, 16, 16), 255, dtype=torch.uint8), config)
    assert view.shape == (200, 3, 6, 6)
    close(view, torch.ones(200, 3, 6, 6))
    # Padded with zeros, only the outermost pixels can read between the image and the outside.
    view = random_views(torch.ones(200, 3, 16, 16), replace(config, padding="zeros"))
    close(view[:, :, 1:-1, 1:-1], torch.ones(200, 3, 4, 4))


def test_rotation_by_a_quarter() -> None:
    """Each view turns by at most the angle; the ends of the range are reached."""
    config = replace(PLAIN, rotation=90.0)
    ramp = torch.linspace(0, 1, 8).view(1, 1, 1, 8).expand(2000, 3, 8, 8)
    views = random_views(ramp, config)
    across = views[:, 0, 4, 5] - views[:, 0, 4, 2]  # 3/7 cos of the angle
    down = views[:, 0, 5, 4] - views[:, 0, 2, 4]  # 3/7 sin of the angle, up to the sign
    assert across.min() > -0.01
    assert across.max() < 3 / 7 + 0.01
    assert down.min() == pytest.approx(-3 / 7, abs=0.01)
    assert down.max() == pytest.approx(3 / 7, abs=0.01)


def test_shift() -> None:
    """The centre moves by at most that share of the side."""
    dot = torch.zeros(500, 3, 8, 8)
    dot[:, :, 3:5, 3:5] = 1.0
    views = random_views(dot, replace(PLAIN, shift=0.25))[:, 0]
    place = (views.sum(1) * torch.arange(8)).sum(1) / views.sum((1, 2))
    assert place.min() == pytest.approx(1.5, abs=0.1)
    assert place.max() == pytest.approx(5.5, abs=0.1)


def test_brightness_and_contrast() -> None:
    """Brightness multiplies, contrast keeps the mean; both stay in [0, 1]."""
    grey = torch.full((500, 3, 4, 4), 0.5)
    views = random_views(grey, replace(PLAIN, size=4, brightness=0.5))
    assert views.min() == pytest.approx(0.25, abs=0.01)
    assert views.max() == pytest.approx(0.75, abs=0.01)
    halves = torch.tensor([0.4, 0.6]).repeat(2).view(1, 1, 1, 4).expand(500, 3, 4, 4)
    views = random_views(halves, replace(PLAIN, size=4, contrast=0.5))
    close(views.mean((1, 2, 3)), torch.full((500,), 0.5))
    steps = views[:, 0, 0, 1] - views[:, 0, 0, 0]
    assert steps.min() == pytest.approx(0.1, abs=0.01)
    assert steps.max() == pytest.approx(0.3, abs=0.01)
    assert random_views(images(), replace(PLAIN, contrast=0.9, brightness=0.9)).max() <= 1


def test_blur() -> None:
    """A point spreads by the Gaussian's variance and keeps its mass."""
    point = torch.zeros(1, 3, 21, 21)
    point[:, :, 10, 10] = 1.0
    config = replace(PLAIN, size=21, blur_probability=1.0, blur_sigma=(1.0, 1.0))
    view = random_views(point, config)[0, 0]
    offsets = torch.arange(-2, 3.0)
    kernel = torch.exp(-(offsets**2) / 2)
    kernel = kernel / kernel.sum()
    close(view[8:13, 8:13], kernel[:, None] * kernel)
    assert random_views(point, replace(config, blur_probability=0.0))[0, 0, 10, 10] == 1


def test_noise() -> None:
    """The spread is uniform from 0 to its largest value: the mean square is a third of its."""
    grey = torch.full((2000, 3, 4, 4), 0.5)
    torch.manual_seed(0)
    found = random_noise(grey, 0.1) - grey
    assert found.square().mean() == pytest.approx(0.1**2 / 3, rel=0.05)
    assert found.mean() == pytest.approx(0.0, abs=1e-3)


def test_views_follow_from_the_seed() -> None:
    """The global generator alone decides."""
    config = ViewConfig(size=8, noise=0.1, rotation=5.0, shift=0.1)
    batch = images()
    torch.manual_seed(3)
    first = random_views(batch, config)
    second = random_views(batch, config)
    torch.manual_seed(3)
    assert torch.equal(random_views(batch, config), first)
    assert not torch.equal(first, second)
