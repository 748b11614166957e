"""Random views of a batch of images, made by tensor operations on the images' own device.

Everything is drawn from torch's global generator, so an update's views follow from its seed.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class ViewConfig:
    """How one kind of view is drawn.

    Attributes:
        size: side of the view in pixels.
        scale: smallest and largest share of the image's area that the view shows; above 1 the view
            zooms out.
        ratio: smallest and largest width over height of the shown region.
        rotation: largest angle in degrees, either way.
        shift: largest shift of the view's centre beyond the crop, as a share of the image's side.
        flip: probability of mirroring left and right; 0 for digits and letters.
        padding: what lies outside the image: "zeros", the background of scans, or its "border",
            for photographs. Views leave their image by zooming out, shifting and rotating alone.
        brightness: largest relative change of all values, either way.
        contrast: largest relative change of the distance from the image's mean, either way.
        blur_probability: share of the views that are blurred.
        blur_sigma: smallest and largest spread of the Gaussian blur in pixels.
        noise: largest spread of additive Gaussian noise on the scale [0, 1]; each view draws its
            own, uniformly from 0.
    """

    size: int
    scale: tuple[float, float] = (0.25, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    rotation: float = 0.0
    shift: float = 0.0
    flip: float = 0.5
    padding: Literal["zeros", "border"] = "zeros"
    brightness: float = 0.4
    contrast: float = 0.4
    blur_probability: float = 0.5
    blur_sigma: tuple[float, float] = (0.1, 2.0)
    noise: float = 0.0


def random_views(images: Tensor, config: ViewConfig) -> Tensor:
    """Draws one view of each image.

    Args:
        images: uint8 [B, 3, H, W], or floating in [0, 1].
        config: how.

    Returns:
        float32 [B, 3, size, size] in [0, 1].
    """
    x = images.float() / 255 if images.dtype == torch.uint8 else images
    x = random_crop(x, config)
    x = random_colour(x, config)
    if config.blur_probability > 0:
        x = random_blur(x, config)
    if config.noise > 0:
        x = random_noise(x, config.noise)
    return x


def uniform(count: int, low: float, high: float, device: torch.device) -> Tensor:
    """[count] values, uniform in [low, high)."""
    return low + (high - low) * torch.rand(count, device=device)


def random_crop(x: Tensor, config: ViewConfig) -> Tensor:
    """Cuts, rotates, shifts and mirrors a region of each image and resizes it, in one resampling.

    The region's area and aspect are drawn as in random resized crops (area uniform, logarithm of
    the aspect uniform); a region smaller than the image lies inside it, but for `shift`.
    """
    B, device = x.shape[0], x.device
    root = uniform(B, *config.scale, device).sqrt()
    log_ratio = uniform(B, math.log(config.ratio[0]), math.log(config.ratio[1]), device)
    stretch = (log_ratio / 2).exp()
    # Half sides of the region in the coordinates of affine_grid, where the image is [-1, 1].
    # A region that fits by its area is not let out by its aspect.
    most = root.clamp(min=1)
    half_x, half_y = (root * stretch).minimum(most), (root / stretch).minimum(most)
    angle = uniform(B, -config.rotation, config.rotation, device) * (math.pi / 180)
    centre_x, centre_y = (
        uniform(B, -1, 1, device) * (1 - half).clamp(min=0)
        + uniform(B, -1, 1, device) * (2 * config.shift)
        for half in (half_x, half_y)
    )
    mirror = torch.where(torch.rand(B, device=device) < config.flip, -1.0, 1.0)
    cos, sin = angle.cos(), angle.sin()
    theta = torch.stack(
        [
            torch.stack([mirror * half_x * cos, -half_y * sin, centre_x], dim=1),
            torch.stack([mirror * half_x * sin, half_y * cos, centre_y], dim=1),
        ],
        dim=1,
    )  # (B, 2, 3)
    grid = F.affine_grid(theta, [B, 3, config.size, config.size], align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode=config.padding, align_corners=False)


def random_colour(x: Tensor, config: ViewConfig) -> Tensor:
    """Changes brightness and contrast of each image and clips to [0, 1]."""
    B = x.shape[0]
    brighter = uniform(B, 1 - config.brightness, 1 + config.brightness, x.device)
    steeper = uniform(B, 1 - config.contrast, 1 + config.contrast, x.device)
    x = x * brighter[:, None, None, None]
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    return (mean + (x - mean) * steeper[:, None, None, None]).clamp(0, 1)


def random_blur(x: Tensor, config: ViewConfig) -> Tensor:
    """Blurs a share of the images, each with its own spread."""
    B, C, H, W = x.shape
    reach = min(max(1, math.ceil(2 * config.blur_sigma[1])), H - 1)
    sigma = uniform(B, *config.blur_sigma, x.device).clamp(min=1e-3)
    offsets = torch.arange(-reach, reach + 1, device=x.device)
    kernel = torch.softmax(-offsets.square() / (2 * sigma[:, None].square()), dim=1)  # (B, k)
    kernel = kernel.repeat_interleave(C, dim=0)[:, None]  # (B*C, 1, k)
    flat = x.reshape(1, B * C, H, W)
    flat = F.conv2d(
        F.pad(flat, (reach, reach, 0, 0), mode="replicate"), kernel[:, :, None], groups=B * C
    )
    flat = F.conv2d(
        F.pad(flat, (0, 0, reach, reach), mode="replicate"), kernel[..., None], groups=B * C
    )
    chosen = torch.rand(B, device=x.device) < config.blur_probability
    return torch.where(chosen[:, None, None, None], flat.view(B, C, H, W), x)


def random_noise(x: Tensor, most: float) -> Tensor:
    """Adds Gaussian noise of a spread drawn for each image from [0, most); clips to [0, 1]."""
    spread = uniform(x.shape[0], 0.0, most, x.device)[:, None, None, None]
    return (x + spread * torch.randn_like(x)).clamp(0, 1)
