"""Published vision transformers in the names of the own one: DINOv2, iBOT, MAE, MoCo v3.

All four come from the same code and differ in where the file keeps the encoder, in what a
pretraining leaves beside it, and in sizes, which the shapes tell but for the heads.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt
from pathlib import Path

import torch
from torch import Tensor

from tessera.errors import UserError
from tessera.io.published import read_checkpoint
from tessera.io.weights import save_model
from tessera.models.vit import VisionTransformer, ViTConfig
from tessera.reference.reading import (
    Found,
    Layout,
    build,
    count_of,
    floats,
    parameters,
    pick,
    shape,
)

HEAD_WIDTH = 64  # of all published vision transformers here
DINOV2: Layout = (None, "")
IBOT: Layout = ("teacher", "backbone.")
MAE: Layout = ("model", "")
MOCOV3: Layout = ("state_dict", "module.base_encoder.")
LAYOUTS: list[Layout] = [
    DINOV2,
    IBOT,
    ("teacher", "module.backbone."),
    MOCOV3,
    ("model", "pretrained_encoder."),  # a checkpoint of DiGIT's
    MAE,
    ("state_dict", ""),  # iBOT's files that hold the teacher alone
    ("state_dict", "backbone."),
]


@dataclass(frozen=True)
class Known:
    """A published encoder: its sizes, and where its file keeps it."""

    width: int
    depth: int
    heads: int
    patch: int
    layout: Layout


KNOWN = {
    "dinov2_small": Known(384, 12, 6, 14, DINOV2),
    "dinov2_base": Known(768, 12, 12, 14, DINOV2),
    "dinov2_large": Known(1024, 24, 16, 14, DINOV2),
    "ibot_base": Known(768, 12, 12, 16, IBOT),
    "mae_base": Known(768, 12, 12, 16, MAE),
    "mocov3_base": Known(768, 12, 12, 16, MOCOV3),
}

PRETRAINING = (
    "head.",  # MoCo v3's projector; a classifier
    "masked_embed",  # iBOT's mask token
    "decoder_embed.",  # MAE's decoder
    "decoder_pos_embed",
    "decoder_blocks.",
    "decoder_norm.",
    "decoder_pred.",
)
"""Names of what only a pretraining needs."""

WITNESS = "patch_embed.proj.weight"
_ODD = re.compile(r"(blocks\.\d+\.)(mlp\.fc|norm)(\d+)(\.\w+)")


def read_encoder(
    path: Path,
    *,
    name: str | None = None,
    heads: int | None = None,
    key: str | None = None,
    prefix: str | None = None,
    position_resampling: str = "dinov2",
) -> Found:
    """An encoder from a published file.

    Args:
        path: the file.
        name: one of `KNOWN`; None reads the sizes off the shapes.
        heads: attention heads; None takes those of `name`, else a head for 64 channels.
        key: the entry that holds the state dict; None looks where published files have it.
        prefix: the beginning of its names; None as for `key`.
        position_resampling: "dinov2" or "timm", see `tessera.models.vit.resample_positions`.

    Raises:
        UserError: no such encoder is in the file, or its sizes are not those of `name`.
    """
    checkpoint = read_checkpoint(path)
    layouts = LAYOUTS if key is None and prefix is None else [(key, prefix or "")]
    if name is not None and layouts is LAYOUTS:
        layouts = [KNOWN[name].layout, *(one for one in LAYOUTS if one != KNOWN[name].layout)]
    state = without_pretraining(pick(path, checkpoint, layouts, WITNESS, "vision transformer"))
    state = mend_names(path, state)
    config = vit_config(path, state, name, heads, position_resampling)
    weights = floats(path, state)
    # Files without one never read it; nor do features.
    weights.setdefault("mask_token", torch.zeros(1, config.width))
    model = build(path, lambda: VisionTransformer(config), weights)
    count = parameters(model)
    return Found(
        "encoders",
        f"{name or 'vision transformer'}, {config.depth} blocks of width {config.width}, "
        f"{config.heads} heads, patches of {config.patch_size} pixels, {config.registers} "
        f"registers, positions for {config.image_size} pixels, {count:,} parameters",
        {"parameters": count},
        {},
        lambda folder: save_model(folder, model, config),
    )


def without_pretraining(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of an encoder, without what only its pretraining needs."""
    kept = {k: v for k, v in state.items() if not k.startswith(PRETRAINING)}
    # DINOv2's mask token [1, D] is the encoder's; MAE's [1, 1, D'] is its decoder's.
    if "mask_token" in kept and kept["mask_token"].dim() != 2:
        del kept["mask_token"]
    return kept


def mend_names(path: Path, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Puts right the misspelt names of MoCo v3's files: norm13, fc13, norm14, fc14.

    A block has norm1 and norm2, fc1 and fc2. Another number takes the place that the block lacks;
    where both are lacking, the lower one is the first.

    Raises:
        UserError: more such names than the block lacks.
    """
    mended = {}
    odd: dict[tuple[str, str, str], dict[int, Tensor]] = {}
    for name, value in state.items():
        match = _ODD.fullmatch(name)
        if match and match[3] not in ("1", "2"):
            odd.setdefault((match[1], match[2], match[4]), {})[int(match[3])] = value
        else:
            mended[name] = value
    for (block, part, kind), found in odd.items():
        free = [n for n in (1, 2) if f"{block}{part}{n}{kind}" not in mended]
        if len(found) > len(free):
            names = ", ".join(f"{block}{part}{number}{kind}" for number in sorted(found))
            raise UserError(f"{path}: {names} has no place in its block: get the file anew")
        for number, place in zip(sorted(found), free, strict=False):
            mended[f"{block}{part}{place}{kind}"] = found[number]
    return mended


def vit_config(
    path: Path,
    state: Mapping[str, Tensor],
    name: str | None,
    heads: int | None,
    position_resampling: str,
) -> ViTConfig:
    """The sizes of a vision transformer by the shapes of its tensors.

    Raises:
        UserError: they are not those of `name`, or do not tell the heads.
    """
    if "reg_token" in state:
        raise UserError(
            f"{path} is in timm's layout: give it to the config as an encoder of `kind: timm`, "
            "with `weights` and `sha256`; no import is needed"
        )
    width, _, patch, _ = shape(path, state, WITNESS, 4)
    positions = shape(path, state, "pos_embed", 3)[1]
    side = isqrt(positions - 1)
    if side**2 + 1 != positions:
        raise UserError(
            f"{path}: the position table has {positions} rows, which are no square grid and a "
            "class token: only such encoders can be imported"
        )
    depth = count_of(path, state, "blocks.")
    if name is not None:
        known = KNOWN[name]
        found, wanted = (width, depth, patch), (known.width, known.depth, known.patch)
        if found != wanted:
            said = "width {}, {} blocks and patches of {}"
            raise UserError(
                f"{path} has {said.format(*found)}, but {name} has {said.format(*wanted)}: "
                "correct --model, or leave it out"
            )
        if heads not in (None, known.heads):
            raise UserError(f"{name} has {known.heads} attention heads: leave --heads out")
        heads = known.heads
    if heads is None and width % HEAD_WIDTH:
        raise UserError(
            f"{path} does not say how many attention heads its encoder of width {width} has: "
            "give --heads"
        )
    registers = "register_tokens"
    hidden = shape(path, state, "blocks.0.mlp.fc1.weight", 2)[0]
    ratio = hidden / width
    if int(width * ratio) != hidden:  # the network rounds down
        ratio = (hidden + 0.5) / width
    try:
        return ViTConfig(
            image_size=side * patch,
            patch_size=patch,
            width=width,
            depth=depth,
            heads=heads or width // HEAD_WIDTH,
            mlp_ratio=ratio,
            registers=shape(path, state, registers, 3)[1] if registers in state else 0,
            layer_scale=1e-5 if "blocks.0.ls1.gamma" in state else None,
            position_resampling=position_resampling,  # type: ignore[arg-type]  # checked there
        )
    except ValueError as error:
        raise UserError(f"{path}: {error}: check --heads and FILE") from error
