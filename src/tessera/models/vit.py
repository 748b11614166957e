"""A vision transformer in the layout of DINOv2 with registers.

Papers: ViT (arXiv 2010.11929), DINOv2 (arXiv 2304.07193), registers (arXiv 2309.16588), LayerScale
(arXiv 2103.17239). Parameter names are those of DINOv2's published files, which load strictly.

Legend: B images, T patch tokens, R registers, N = 1 + R + T tokens, D width, h x w patch grid.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LAYER_NORM_EPS = 1e-6
# DINOv2 adds this to the target grid so that rounding in the scale never drops a row of patches.
# It also moves every sample point a little, so it is part of the function, not a safety margin.
POSITION_OFFSET = 0.1
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

PositionResampling = Literal["dinov2", "timm"]


def resample_positions(
    table: Tensor, side: tuple[int, int], grid: tuple[int, int], method: PositionResampling
) -> Tensor:
    """A position table for another grid of patches, by bicubic interpolation.

    "dinov2" hands the resampler the scale factor (count + 0.1) / side and does not smooth, as
    DINOv2's own code and DiGIT do. "timm" asks for the size and smooths (antialias) where the grid
    shrinks. The features differ, and so do the tokens: use the one that a codebook was made with.

    Args:
        table: [1, P + rows * columns, D], the P prefix tokens first; they are kept.
        side: rows and columns that the table stands for.
        grid: rows and columns wanted.
        method: see above; at the table's own grid both return the table itself.

    Returns:
        [1, P + h*w, D].
    """
    if grid == side:
        return table
    prefix = table.shape[1] - side[0] * side[1]
    if table.requires_grad and torch.is_grad_enabled():
        # On CUDA torch knows no deterministic gradient of the bicubic one. It is linear: what it
        # makes of the unit vectors is the matrix of it.
        units = torch.eye(table.shape[1] - prefix, device=table.device)[None]
        weights = resample_positions(units, side, grid, method)[0]  # (h*w, rows*columns)
        resized = (weights @ table[0, prefix:].float()).to(table.dtype)[None]
        return torch.cat([table[:, :prefix], resized], dim=1)
    patches = table[:, prefix:].transpose(1, 2).unflatten(2, side).float()  # (1, D, rows, columns)
    if method == "dinov2":
        scale = tuple(
            (count + POSITION_OFFSET) / old for count, old in zip(grid, side, strict=True)
        )
        resized = F.interpolate(
            patches, scale_factor=scale, mode="bicubic", align_corners=False, antialias=False
        )
    else:
        resized = F.interpolate(
            patches, size=grid, mode="bicubic", align_corners=False, antialias=True
        )
    if resized.shape[2:] != grid:
        raise ValueError(f"positions came out as {tuple(resized.shape[2:])}, expected {grid}")
    resized = resized.to(table.dtype).flatten(2).transpose(1, 2)
    return torch.cat([table[:, :prefix], resized], dim=1)


@dataclass(frozen=True)
class ViTConfig:
    """Sizes of a vision transformer.

    Attributes:
        image_size: side in pixels of the square input that the position table stands for.
        patch_size: side of a patch in pixels; divides `image_size`.
        width: channels of a token.
        depth: number of blocks.
        heads: attention heads; divides `width`.
        mlp_ratio: hidden width of the MLP over `width`.
        registers: extra tokens without a position, put right after the class token.
        layer_scale: initial value of LayerScale; None leaves LayerScale out.
        mean: mean of the images in [0, 1] per channel, taken off before the network.
        std: spread of the images in [0, 1] per channel, divided by before the network.
        position_resampling: how positions are made for other grids, see `resample_positions`.
    """

    image_size: int = 518
    patch_size: int = 14
    width: int = 768
    depth: int = 12
    heads: int = 12
    mlp_ratio: float = 4.0
    registers: int = 4
    layer_scale: float | None = 1e-5
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    position_resampling: PositionResampling = "dinov2"

    def __post_init__(self) -> None:
        """Checks the sizes against each other."""
        if self.position_resampling not in get_args(PositionResampling):
            raise ValueError(f"position_resampling {self.position_resampling!r} is unknown")
        if self.image_size % self.patch_size:
            raise ValueError(f"patch_size {self.patch_size} does not divide {self.image_size}")
        if self.width % self.heads:
            raise ValueError(f"heads {self.heads} does not divide width {self.width}")


# The published DINOv2 models with registers.
DINOV2_SIZES = {
    "dinov2_small": ViTConfig(width=384, depth=12, heads=6),
    "dinov2_base": ViTConfig(width=768, depth=12, heads=12),
    "dinov2_large": ViTConfig(width=1024, depth=24, heads=16),
}


class PatchEmbedding(nn.Module):
    """Cuts images into patches and projects each to a token."""

    def __init__(self, patch_size: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, kernel_size=patch_size, stride=patch_size)

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, h*w, D], rows of patches first."""
        return self.proj(images).flatten(2).transpose(1, 2)


class SelfAttention(nn.Module):
    """Full multi-head attention with one matrix for queries, keys and values."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, N, D] -> [B, N, D]."""
        B, N, D = x.shape
        qkv = self.qkv(x).view(B, N, 3, self.heads, D // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each (B, heads, N, D/heads)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.proj(mixed.transpose(1, 2).reshape(B, N, D))


class MLP(nn.Module):
    """Two linear layers with the exact GELU between."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] -> [..., D]."""
        return self.fc2(F.gelu(self.fc1(x)))


class LayerScale(nn.Module):
    """A learned factor per channel on a residual branch."""

    def __init__(self, width: int, initial: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), initial))

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] -> [..., D]."""
        return x * self.gamma


class Block(nn.Module):
    """Pre-norm attention and MLP, each scaled and added to its input."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        width, scale = config.width, config.layer_scale
        self.norm1 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.attn = SelfAttention(width, config.heads)
        self.ls1 = nn.Identity() if scale is None else LayerScale(width, scale)
        self.norm2 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.mlp = MLP(width, int(width * config.mlp_ratio))
        self.ls2 = nn.Identity() if scale is None else LayerScale(width, scale)

    def forward(self, x: Tensor) -> Tensor:
        """[B, N, D] -> [B, N, D]."""
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class VisionTransformer(nn.Module):
    """The network; images go in normalised by `mean` and `std`."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.config = config
        self.width = config.width
        self.mean, self.std = config.mean, config.std
        side = config.image_size // config.patch_size
        self.cls_token = nn.Parameter(torch.empty(1, 1, config.width))
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + side**2, config.width))
        if config.registers:
            self.register_tokens = nn.Parameter(torch.empty(1, config.registers, config.width))
        self.mask_token = nn.Parameter(torch.empty(1, config.width))
        self.patch_embed = PatchEmbedding(config.patch_size, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width, eps=LAYER_NORM_EPS)
        self.initialise()

    def initialise(self) -> None:
        """Draws all weights anew.

        Matrices are Xavier-uniform, whose spread follows the width; DINOv2's fixed 0.02 is made for
        768 channels, and at 64 no image leaves a trace in the class token.
        """
        nn.init.normal_(self.cls_token, std=1e-6)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.zeros_(self.mask_token)
        if self.config.registers:
            nn.init.normal_(self.register_tokens, std=1e-6)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Patches per column and per row of an image of `height` x `width` pixels."""
        return height // self.config.patch_size, width // self.config.patch_size

    def positions(self, grid: tuple[int, int]) -> Tensor:
        """The position table for a grid of patches; see `resample_positions`.

        Args:
            grid: patches per column and per row.

        Returns:
            [1, 1 + h*w, D], the class token's position first.
        """
        side = self.config.image_size // self.config.patch_size
        return resample_positions(
            self.pos_embed, (side, side), grid, self.config.position_resampling
        )

    def embed(self, images: Tensor, mask: Tensor | None = None) -> Tensor:
        """Images to the first block's input.

        Args:
            images: normalised [B, 3, H, W]; H and W multiples of the patch size.
            mask: bool [B, T]; True patches are replaced by the mask token (positions kept).

        Returns:
            [B, 1 + R + T, D]: class token, registers, patches.
        """
        B, _, height, width = images.shape
        x = self.patch_embed(images)  # (B, T, D)
        if mask is not None:
            x = torch.where(mask[..., None], self.mask_token.to(x.dtype), x)
        x = torch.cat([self.cls_token.expand(B, -1, -1), x], dim=1)
        x = x + self.positions(self.grid(height, width))
        if self.config.registers:
            registers = self.register_tokens.expand(B, -1, -1)
            x = torch.cat([x[:, :1], registers, x[:, 1:]], dim=1)
        return x

    def forward(self, images: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """All blocks and the final norm.

        Args:
            images: normalised [B, 3, H, W].
            mask: bool [B, T] or None, see `embed`.

        Returns:
            class token [B, D] and patch tokens [B, T, D].
        """
        x = self.embed(images, mask)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return x[:, 0], x[:, 1 + self.config.registers :]

    def features(self, images: Tensor, layer: int = 1, final_norm: bool = True) -> Tensor:
        """Patch tokens after one block; the blocks behind it are not run.

        Args:
            images: normalised [B, 3, H, W].
            layer: 1 is the last block, 2 the one before it, up to the depth.
            final_norm: apply the network's last norm to that block's output.

        Returns:
            [B, T, D], rows of patches first; class token and registers are dropped.
        """
        if not 1 <= layer <= self.config.depth:
            raise ValueError(f"layer {layer} is outside 1..{self.config.depth}")
        x = self.embed(images)
        for block in self.blocks[: self.config.depth - layer + 1]:
            x = block(x)
        if final_norm:
            x = self.norm(x)
        return x[:, 1 + self.config.registers :]
