"""Frozen image encoders behind one small protocol: the own ViT and timm's models.

Images come in [0, 1]. They are normalised first and resized afterwards, by bicubic interpolation
without antialias: the order and the filter of the published tokenisers (the other order gives
other tokens).
"""

import sys
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from math import isqrt
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tessera.errors import UserError
from tessera.models.vit import PositionResampling, resample_positions


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


@dataclass(frozen=True)
class TimmConfig:
    """What builds a `TimmEncoder` again; JSON values only.

    Attributes:
        name: a name that `timm.create_model` knows.
        position_resampling: how positions are made for other grids, see `resample_positions`.
        options: passed on to `timm.create_model`.
    """

    name: str
    position_resampling: PositionResampling = "dinov2"
    options: dict[str, Any] = field(default_factory=dict)


class TimmEncoder(nn.Module):
    """A timm model as an encoder: patch tokens of one block, prefix tokens dropped.

    `tessera.io.weights.save_model(folder, encoder, encoder.config)` saves it.
    """

    model: Any  # timm's models share no type that names blocks and forward_intermediates

    def __init__(
        self,
        name: str,
        position_resampling: PositionResampling = "dinov2",
        *,
        pretrained: bool = False,
        **options: Any,
    ) -> None:
        """Builds the network, without weights from anywhere unless `pretrained`.

        Args:
            name: a name that `timm.create_model` knows.
            position_resampling: "dinov2" or "timm", see `resample_positions`. Models without a
                learned table of absolute positions have nothing to resample.
            pretrained: let timm fetch its weights from the hub.
            options: passed on to `timm.create_model`.

        Raises:
            UserError: timm does not know the name, the model gives no intermediate features, or
                its weights cannot be fetched.
        """
        super().__init__()
        import timm  # here, because it takes seconds and most encoders are not timm's
        from timm.data import resolve_model_data_config

        if not timm.is_model(name):
            raise UserError(
                f"the encoder {name!r} is unknown to timm {timm.__version__}: choose a name that "
                "`timm.list_models()` gives"
            )
        self.config = TimmConfig(name, position_resampling, options)
        self.model = _create(name, pretrained, options)
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
        (tokens,) = self._with_positions_of(self.grid(*images.shape[2:])).forward_intermediates(
            images,
            indices=[self.depth - layer],
            norm=final_norm,
            stop_early=True,
            output_fmt="NLC",  # prefix tokens are left out unless asked for
            intermediates_only=True,
        )
        return tokens

    def _with_positions_of(self, grid: tuple[int, int]) -> Any:
        """The model with DINOv2's positions for a grid; itself where it has its own for that.

        The resampling is done for each batch: it costs nothing beside a block, and nothing that is
        kept can outlive a change of the weights. The model stays as it is, since other threads
        may be in it.
        """
        table = getattr(self.model, "pos_embed", None)
        patches = self.model.patch_embed
        side = getattr(patches, "grid_size", None)
        if (
            self.config.position_resampling == "timm"
            or not getattr(self.model, "dynamic_img_size", False)
            or not isinstance(table, nn.Parameter)
            or table.dim() != 3
            or side is None
            or tuple(side) == grid
        ):
            return self.model
        lent, patches = copy(self.model), copy(patches)
        patches.grid_size = grid
        resized = resample_positions(table, tuple(side), grid, "dinov2")
        # Python finds these before the registered ones, which the copy shares with the model.
        vars(lent).update(pos_embed=resized, patch_embed=patches)
        return lent


def _create(name: str, pretrained: bool, options: dict[str, Any]) -> Any:
    """A timm model without a classifier; for inputs of any size where the model can."""
    import timm

    wanted = {"dynamic_img_size": True} | options
    try:
        try:
            return timm.create_model(name, pretrained=pretrained, num_classes=0, **wanted)
        except TypeError:  # a model of one input size only
            return timm.create_model(name, pretrained=pretrained, num_classes=0, **options)
    except Exception as error:  # the hub's client raises many types
        if not pretrained:
            raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"the weights of {name} cannot be fetched from the hub ({reason}): download the file "
            "and name it in the config, with `weights` and `sha256`"
        ) from error


def input_size_of(state: Mapping[str, Tensor]) -> int | None:
    """The side in pixels of the input that a file's position table stands for.

    None where the file has no table [1, P + n*n, D] with at most one prefix token.
    """
    table, patches = state.get("pos_embed"), state.get("patch_embed.proj.weight")
    if table is None or patches is None or table.dim() != 3 or patches.dim() != 4:
        return None
    rows, patch = table.shape[1], patches.shape[-1]
    for count in (rows, rows - 1):
        if count > 0 and isqrt(count) ** 2 == count:
            return isqrt(count) * patch
    return None


def in_timm_layout(state: Mapping[str, Tensor], model: Any) -> dict[str, Tensor]:
    """A file's tensors under the names of a timm model, as timm itself translates them.

    Tensors that timm would resample instead of refusing stay as they are, and so does what it
    cannot translate; a strict load then says what does not fit.

    Args:
        state: the tensors under the file's names.
        model: the timm model.
    """
    wanted = model.state_dict()
    if state.keys() == wanted.keys():
        return dict(state)
    patches = "patch_embed.proj.weight"
    convert = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    if (
        convert is None
        or patches not in state
        or patches not in wanted
        or state[patches].shape != wanted[patches].shape
    ):
        return dict(state)
    try:
        return dict(convert(dict(state), model))
    except Exception:  # timm's translations presuppose files of a certain kind
        return dict(state)


def preprocess(
    images: Tensor,
    mean: Sequence[float] | Tensor,
    std: Sequence[float] | Tensor,
    input_size: int | None = None,
) -> Tensor:
    """Makes an encoder's input.

    Args:
        images: [B, 3, H, W] in [0, 1].
        mean: per channel; a tensor on the images' device is not copied there again.
        std: per channel, alike.
        input_size: side to resize to; None, or the side that the images have, resizes nothing.

    Returns:
        [B, 3, S, S], normalised before the resizing.
    """
    shift = torch.as_tensor(mean, dtype=images.dtype, device=images.device)[:, None, None]
    scale = torch.as_tensor(std, dtype=images.dtype, device=images.device)[:, None, None]
    x = (images - shift) / scale
    if input_size is None or x.shape[2:] == (input_size, input_size):
        return x
    size = (input_size, input_size)
    return F.interpolate(x, size=size, mode="bicubic", align_corners=False, antialias=False)
