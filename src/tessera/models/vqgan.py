"""The VQGAN of MAGE's size table, as DiGIT uses it.

Papers: VQGAN (arXiv 2012.09841), MAGE (arXiv 2211.09117). It departs from the first VQGAN: no
attention, no 1x1 convolutions around the codebook, average pooling instead of strided
convolutions, and residual convolutions without bias. Images go in as [0, 1], unnormalised, and come
out on the same scale, unclipped. Parameter names are those of the published files.

Legend: B images, h x w latent grid, T = h*w codes in rows, Z channels of a code, K codes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tessera.nn.group_norm import norm_swish

GROUP_NORM_EPS = 1e-6

AT_ONCE = {"cpu": 256**2, "cuda": 64 * 256**2}
"""Pixels that are decoded at once: a map of 256 images of 256 x 256 pixels would take 8.6 GB. A
processor is as fast with one image, whose rounding then depends on no other."""
MOST = 64
"""Images that are decoded at once, where they are small."""


@dataclass(frozen=True)
class VQGANConfig:
    """Sizes of a VQGAN.

    Attributes:
        resolution: side of the images in pixels; a multiple of `downsampling`.
        channels: width of the first level; each level has channels x multiplier.
        multipliers: one a level; between two levels the side is halved.
        residual_blocks: blocks a level, in the encoder and in the decoder alike.
        codes: entries of the codebook.
        code_width: channels of a code and of the latent.
        norm_groups: groups of the group norms; divides the width of every level.
    """

    resolution: int = 256
    channels: int = 128
    multipliers: tuple[int, ...] = (1, 1, 2, 2, 4)
    residual_blocks: int = 2
    codes: int = 1024
    code_width: int = 256
    norm_groups: int = 32

    def __post_init__(self) -> None:
        """Checks the sizes against each other."""
        for width in self.widths:
            if width % self.norm_groups:
                raise ValueError(f"norm_groups {self.norm_groups} does not divide {width} channels")
        if self.resolution % self.downsampling:
            raise ValueError(f"resolution {self.resolution} is no multiple of {self.downsampling}")

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level, from the pixels inwards."""
        return tuple(self.channels * multiplier for multiplier in self.multipliers)

    @property
    def downsampling(self) -> int:
        """Pixels along one side of a code."""
        return 2 ** (len(self.multipliers) - 1)

    @property
    def grid(self) -> int:
        """Codes along one side of an image."""
        return self.resolution // self.downsampling


def group_norm(width: int, config: VQGANConfig) -> nn.GroupNorm:
    """The one norm of the network."""
    return nn.GroupNorm(config.norm_groups, width, eps=GROUP_NORM_EPS)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, each after norm and swish, and a shortcut.

    Where the width changes, the 1x1 shortcut reads the block's own output h, not its input: the
    published weights were trained that way (result h + nin(h), the input itself is lost).
    """

    def __init__(self, width_in: int, width: int, config: VQGANConfig) -> None:
        super().__init__()
        self.norm1 = group_norm(width_in, config)
        self.conv1 = nn.Conv2d(width_in, width, 3, padding=1, bias=False)
        self.norm2 = group_norm(width, config)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        if width_in != width:
            self.nin_shortcut = nn.Conv2d(width, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, width_in, H, W] -> [B, width, H, W]."""
        h = self.conv1(norm_swish(self.norm1, x))
        h = self.conv2(norm_swish(self.norm2, h))
        return h + (self.nin_shortcut(h) if hasattr(self, "nin_shortcut") else x)


class Middle(nn.Module):
    """The two blocks at the lowest resolution."""

    def __init__(self, width: int, config: VQGANConfig) -> None:
        super().__init__()
        self.block_1 = ResidualBlock(width, width, config)
        self.block_2 = ResidualBlock(width, width, config)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, C, h, w]."""
        return self.block_2(self.block_1(x))


class Upsample(nn.Module):
    """Doubles the side: nearest neighbour, then a 3x3 convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, 2H, 2W]."""
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Level(nn.Module):
    """The residual blocks of one resolution, and the way up if one follows."""

    def __init__(self, width_in: int, width: int, config: VQGANConfig, upsample: bool) -> None:
        super().__init__()
        self.block = nn.ModuleList(
            ResidualBlock(width_in if i == 0 else width, width, config)
            for i in range(config.residual_blocks)
        )
        if upsample:
            self.upsample = Upsample(width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, width_in, H, W] -> [B, width, H, W], or twice the side."""
        for block in self.block:
            x = block(x)
        return self.upsample(x) if hasattr(self, "upsample") else x


class Encoder(nn.Module):
    """Images to latents."""

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        widths = config.widths
        self.conv_in = nn.Conv2d(3, config.channels, 3, padding=1, bias=False)
        self.down = nn.ModuleList(
            Level(width_in, width, config, upsample=False)
            for width_in, width in zip((config.channels, *widths), widths, strict=False)
        )
        self.mid = Middle(widths[-1], config)
        self.norm_out = group_norm(widths[-1], config)
        self.conv_out = nn.Conv2d(widths[-1], config.code_width, 1)

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, Z, h, w]."""
        x = self.down[0](self.conv_in(images))
        for level in self.down[1:]:
            x = level(F.avg_pool2d(x, 2))
        return self.conv_out(norm_swish(self.norm_out, self.mid(x)))


class Decoder(nn.Module):
    """Code vectors to images."""

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        widths = config.widths
        self.conv_in = nn.Conv2d(config.code_width, widths[-1], 3, padding=1)
        self.mid = Middle(widths[-1], config)
        # up[0] works at full resolution and runs last; its input comes from the level below it.
        self.up = nn.ModuleList(
            Level(width_in, width, config, upsample=i > 0)
            for i, (width_in, width) in enumerate(
                zip((*widths[1:], widths[-1]), widths, strict=True)
            )
        )
        self.norm_out = group_norm(widths[0], config)
        self.conv_out = nn.Conv2d(widths[0], 3, 3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        """[B, Z, h, w] -> [B, 3, H, W]."""
        x = self.mid(self.conv_in(latents))
        for level in reversed(self.up):
            x = level(x)
        return self.conv_out(norm_swish(self.norm_out, x))


class Codebook(nn.Module):
    """The table of code vectors; calling it names the nearest code of each latent."""

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.codes, config.code_width)
        nn.init.uniform_(self.embedding.weight, -1 / config.codes, 1 / config.codes)

    def forward(self, latents: Tensor) -> Tensor:
        """Nearest code by squared distance, in float32.

        Args:
            latents: [B, Z, h, w].

        Returns:
            int64 [B, h*w], in rows.
        """
        with torch.autocast(latents.device.type, enabled=False):
            z = latents.detach().float().permute(0, 2, 3, 1).flatten(0, 2)  # (B*h*w, Z)
            table = self.embedding.weight.detach().float()  # (K, Z)
            distances = z.square().sum(1, keepdim=True) - 2 * z @ table.T + table.square().sum(1)
        return distances.argmin(1).view(latents.shape[0], -1)

    def vectors(self, codes: Tensor, grid: tuple[int, int]) -> Tensor:
        """Codes [B, h*w] and their grid (h, w) to code vectors [B, Z, h, w]."""
        return self.embedding(codes).transpose(1, 2).unflatten(2, grid)


class VQGANOutput(NamedTuple):
    """What a training pass gives.

    Attributes:
        images: reconstructions [B, 3, H, W], unclipped.
        codes: int64 [B, h*w].
        latents: the encoder's output [B, Z, h, w].
        codebook_loss: mean squared distance that moves the codes to the latents.
        commitment_loss: the same distance, moving the latents to the codes.
    """

    images: Tensor
    codes: Tensor
    latents: Tensor
    codebook_loss: Tensor
    commitment_loss: Tensor


class VQGAN(nn.Module):
    """Encoder, codebook and decoder."""

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.quantize = Codebook(config)

    def encode(self, images: Tensor) -> Tensor:
        """Images in [0, 1], [B, 3, H, W] -> latents [B, Z, h, w]."""
        return self.encoder(images)

    def decode(self, latents: Tensor) -> Tensor:
        """Code vectors [B, Z, h, w] -> images [B, 3, H, W] about [0, 1], unclipped."""
        return self.decoder(latents)

    def decode_codes(self, codes: Tensor, most: int | None = None) -> Tensor:
        """Codes of a square grid to images about [0, 1], unclipped.

        A few at a time, in the precision of the decoder's weights. A GPU is given as many every
        time, since it chooses how to convolve, and so to round, by their number.

        Args:
            codes: int64 [B, h*w], in rows.
            most: images at a time; absent: what is fast.

        Returns:
            [B, 3, H, W].
        """
        return torch.cat([*self._pieces(codes, most)])

    def paint(self, codes: Tensor, most: int | None = None) -> Tensor:
        """As `decode_codes`, to bytes [B, 3, H, W]: truncated, as DiGIT writes its images."""
        pieces = self._pieces(codes, most)
        return torch.cat([(some * 255).clamp(0, 255).byte() for some in pieces])

    def _pieces(self, codes: Tensor, most: int | None) -> Iterator[Tensor]:
        """Images [n, 3, H, W] of the first codes, of the next, and so on."""
        side = int(codes.shape[1] ** 0.5 + 0.5)
        if side**2 != codes.shape[1]:
            raise ValueError(f"{codes.shape[1]} codes make no square grid")
        kind = codes.device.type
        if most is None:
            pixels = (side * self.config.downsampling) ** 2
            most = min(MOST, max(1, AT_ONCE.get(kind, 0) // pixels))
        for some in codes.split(most):
            filled = F.pad(some, (0, 0, 0, most - len(some))) if kind == "cuda" else some
            vectors = self.quantize.vectors(filled, (side, side))
            images = self.decode(vectors.to(self.decoder.conv_in.weight.dtype))
            yield images[: len(some)].to(vectors.dtype)

    def forward(self, images: Tensor) -> VQGANOutput:
        """One training pass with the straight-through gradient (arXiv 1711.00937, eq. 3).

        Args:
            images: [B, 3, H, W] in [0, 1].
        """
        latents = self.encode(images)
        codes = self.quantize(latents)
        chosen = self.quantize.vectors(codes, (latents.shape[2], latents.shape[3]))
        codebook_loss = F.mse_loss(chosen, latents.detach())
        commitment_loss = F.mse_loss(latents, chosen.detach())
        passed = latents + (chosen - latents).detach()
        return VQGANOutput(self.decode(passed), codes, latents, codebook_loss, commitment_loss)
