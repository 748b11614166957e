"""The VQGAN that MAGE published, from a checkpoint of PyTorch Lightning or a plain state dict."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from tessera.errors import UserError
from tessera.io.published import read_checkpoint
from tessera.io.weights import save_model
from tessera.models.vqgan import VQGAN, VQGANConfig
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

LAYOUTS: list[Layout] = [
    ("state_dict", ""),
    (None, ""),
    ("model", "vqgan."),  # a checkpoint of DiGIT's stage 2
    ("model", ""),
]
TRAINING_ONLY = ("loss.",)
"""The discriminator and the perceptual loss of its training."""


def read_autoencoder(
    path: Path, *, resolution: int = 256, key: str | None = None, prefix: str | None = None
) -> Found:
    """A VQGAN with the sizes that its shapes tell.

    Args:
        path: the checkpoint.
        resolution: side of its images, which no shape tells.
        key: the entry that holds the state dict; None looks where published files have it.
        prefix: the beginning of its names; None as for `key`.

    Raises:
        UserError: no such VQGAN is in the file.
    """
    layouts = LAYOUTS if key is None and prefix is None else [(key, prefix or "")]
    state = pick(path, read_checkpoint(path), layouts, "encoder.conv_in.weight", "VQGAN")
    state = {k: v for k, v in state.items() if not k.startswith(TRAINING_ONLY)}
    if any(
        name.startswith(("quant_conv.", "post_quant_conv.")) or ".attn" in name for name in state
    ):
        raise UserError(
            f"{path} holds a VQGAN with attention or with convolutions around its codebook, as "
            "taming-transformers has them; only MAGE's VQGAN, without both, can be imported"
        )
    config = vqgan_config(path, state, resolution)
    model = build(path, lambda: VQGAN(config), floats(path, state))
    count = parameters(model)
    widths = ", ".join(map(str, config.widths))
    return Found(
        "autoencoders",
        f"VQGAN, images of {resolution} pixels to {config.grid} x {config.grid} codes of "
        f"{config.codes}, width {config.code_width}, levels of {widths} channels, "
        f"residual blocks a level: {config.residual_blocks}, {count:,} parameters",
        {"parameters": count},
        {},
        lambda folder: save_model(folder, model, config),
    )


def vqgan_config(path: Path, state: Mapping[str, Tensor], resolution: int) -> VQGANConfig:
    """The sizes of a VQGAN by the shapes of its tensors.

    Raises:
        UserError: the shapes contradict each other or are no such VQGAN's.
    """
    channels = shape(path, state, "encoder.conv_in.weight", 4)[0]
    levels = count_of(path, state, "encoder.down.")
    widths = [
        shape(path, state, f"encoder.down.{level}.block.0.conv1.weight", 4)[0]
        for level in range(levels)
    ]
    codes, code_width = shape(path, state, "quantize.embedding.weight", 2)
    if any(width % channels for width in widths):
        raise UserError(
            f"{path}: the levels of the VQGAN have {', '.join(map(str, widths))} channels, which "
            f"are no multiples of the first {channels}: only MAGE's VQGAN can be imported"
        )
    try:
        return VQGANConfig(
            resolution=resolution,
            channels=channels,
            multipliers=tuple(width // channels for width in widths),
            residual_blocks=count_of(path, state, "encoder.down.0.block."),
            codes=codes,
            code_width=code_width,
        )
    except ValueError as error:
        raise UserError(f"{path}: {error}: check --resolution and FILE") from error
