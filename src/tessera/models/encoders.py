"""Frozen image encoders behind one small protocol: the own ViT and timm's models.

Images come in [0, 1]. They are normalised first and resized afterwards, by bicubic interpolation
without antialias: the order and the filter of the published tokenisers (the other order gives
other tokens).
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tessera.errors import UserError


class Encoder(Protocol):
    """What a frozen encoder offers.

    Attributes:
        width: channels of a feature.
        mean: mean per channel of images in [0, 1].
        std: spread per channel of images in [0, 1].
    """

    width: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Patches per column and per row of an image of `height` x `width` pixels."""
        ...

    def features(self, images: Tensor, layer: int = 1, final_norm: bool = True) -> Tensor:
        """Normalised [B, 3, H, W] -> [B, T, width] of the `layer`-th block from the end."""
        ...


class TimmEncoder(nn.Module):
    """A timm model as an encoder: patch tokens of one block, prefix tokens dropped."""

    model: Any  # timm's models share no type that names blocks and forward_intermediates

    def __init__(self, name: str, **options: Any) -> None:
        """Builds the network without weights from anywhere.

        Args:
            name: a name that `timm.create_model` knows.
            options: passed on to `timm.create_model`.

        Raises:
            UserError: timm does not know the name, or the model gives no intermediate features.
        """
        super().__init__()
        import timm  # here, because it takes seconds and most encoders are not timm's
        from timm.data import resolve_model_data_config

        if not timm.is_model(name):
            raise UserError(
                f"the encoder {name!r} is unknown to timm {timm.__version__}: choose a name that "
                "`timm.list_models()` gives"
            )
        if "vit" in name:
            options.setdefault("dynamic_img_size", True)
        self.model = timm.create_model(name, pretrained=False, num_classes=0, **options)
        if not (hasattr(self.model, "forward_intermediates") and hasattr(self.model, "blocks")):
            raise UserError(
                f"the timm model {name!r} has no stack of blocks whose features can be read: "
                "choose a vision transformer"
            )
        data = resolve_model_data_config(self.model)
        self.mean: tuple[float, float, float] = tuple(data["mean"])
        self.std: tuple[float, float, float] = tuple(data["std"])
        self.width: int = self.model.num_features
        self.depth: int = len(self.model.blocks)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Patches per column and per row of an image of `height` x `width` pixels."""
        rows, columns = self.model.patch_embed.patch_size
        return height // rows, width // columns

    def features(self, images: Tensor, layer: int = 1, final_norm: bool = True) -> Tensor:
        """Normalised [B, 3, H, W] -> [B, T, width]; blocks behind the wanted one are not run."""
        if not 1 <= layer <= self.depth:
            raise ValueError(f"layer {layer} is outside 1..{self.depth}")
        (tokens,) = self.model.forward_intermediates(
            images,
            indices=[self.depth - layer],
            norm=final_norm,
            stop_early=True,
            output_fmt="NLC",  # prefix tokens are left out unless asked for
            intermediates_only=True,
        )
        return tokens


def preprocess(
    images: Tensor,
    mean: Sequence[float],
    std: Sequence[float],
    input_size: int | None = None,
) -> Tensor:
    """Makes an encoder's input.

    Args:
        images: [B, 3, H, W] in [0, 1].
        mean: per channel.
        std: per channel.
        input_size: side to resize to; None, or the side that the images have, resizes nothing.

    Returns:
        [B, 3, S, S], normalised before the resizing.
    """
    shift = torch.tensor(mean, dtype=images.dtype, device=images.device)[:, None, None]
    scale = torch.tensor(std, dtype=images.dtype, device=images.device)[:, None, None]
    x = (images - shift) / scale
    if input_size is None or x.shape[2:] == (input_size, input_size):
        return x
    size = (input_size, input_size)
    return F.interpolate(x, size=size, mode="bicubic", align_corners=False, antialias=False)
