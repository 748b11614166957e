"""The models of a folder of reference vectors; every size is read from its files.

The files are read, written and loaded as `tessera import` and the stages do it, so that what is
compared with the vectors is what a user gets.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from tessera.models.encoders import preprocess
from tessera.models.gpt import GPT
from tessera.models.maskgit import MaskGIT
from tessera.models.vit import VisionTransformer
from tessera.models.vqgan import VQGAN
from tessera.reference.autoencoders import read_autoencoder
from tessera.reference.decoders import model_settings, read_decoder
from tessera.reference.encoders import read_encoder
from tessera.reference.reading import Found, count_of
from tessera.stages.loading import load_decoder, load_encoder, load_vqgan
from tests.parity.reference_set import ReferenceSet
from tests.parity.registry import FEATURES, gap

ENCODER, VQGAN_FILE = "dinov2_tiny.pth", "vqgan.ckpt"
SPECIALS = 5
# The ViT's heads are in no file. These sets are known by their name and width.
HEADS = {("A", 36): 3, ("B", 40): 4}


def imported(found: Found, load: Callable[[Path, str], Any]) -> Any:
    """What `load` finds in the folder that an import of `found` writes."""
    with TemporaryDirectory() as folder:
        found.write(Path(folder))
        return load(Path(folder), "cpu").requires_grad_(True)  # trainings go on from some


def images(reference: ReferenceSet) -> Tensor:
    """The set's images in [0, 1], [N, 3, H, W]."""
    return reference.tensor("images.npz", "imgs_u8").float() / 255


@dataclass(frozen=True)
class Encoder:
    """The set's encoder, and how its heads were found."""

    model: VisionTransformer
    note: str


def build_encoder(reference: ReferenceSet, heads: int) -> VisionTransformer:
    """The encoder with this many heads, sized by its weights."""
    return imported(read_encoder(reference.folder / ENCODER, heads=heads), load_encoder)


def encoder(reference: ReferenceSet) -> Encoder:
    """The set's encoder; for an unknown set with the heads that fit the vectors best."""

    def make() -> Encoder:
        width = reference.state(ENCODER)["patch_embed.proj.weight"].shape[0]
        known = HEADS.get((str(reference.fact("set")), width))
        options = [heads for heads in range(1, width + 1) if width % heads == 0]
        fits = {}
        for heads in [known, *options] if known else options:
            fits[heads] = misfit(reference, build_encoder(reference, heads))
            if heads == known and not fits[heads] > FEATURES:
                return Encoder(build_encoder(reference, heads), "")
        best = min(options, key=lambda heads: fits[heads])
        return Encoder(build_encoder(reference, best), f", {best} heads (fit best)")

    return reference.once("encoder", make)


def misfit(reference: ReferenceSet, model: VisionTransformer) -> float:
    """How far an encoder is from the first of the stored features; 0 where there are none."""
    for key, size in (("feat224", True), ("feat256", False)):
        if reference.has(f"dino.npz:{key}"):
            expected = reference.numpy("dino.npz", key)
            found = features(reference, model, crop=size)
            return float(min(
                gap(found[:, ::step], expected).error
                for step in range(1, found.shape[1] + 1)
                if -(-found.shape[1] // step) == expected.shape[1]
            ))  # fmt: skip
    return 0.0


def grid_side(reference: ReferenceSet) -> int:
    """Patches along one side of what the encoder sees: the root of the tokens of an image."""
    for key in ("tokens256", "tokens224"):
        if reference.has(f"dino.npz:{key}"):
            return round(reference.numpy("dino.npz", key).shape[1] ** 0.5)
    return 16


def encoder_input(reference: ReferenceSet, model: VisionTransformer, crop: bool) -> Tensor:
    """Normalised images of the encoder's input size: centre crops, or whole images resized."""
    size = grid_side(reference) * model.config.patch_size
    batch = images(reference)
    if crop:
        top, left = ((side - size) // 2 for side in batch.shape[2:])
        batch = batch[:, :, top : top + size, left : left + size]
    return preprocess(batch, model.mean, model.std, size)


@torch.no_grad()
def features(
    reference: ReferenceSet, model: VisionTransformer, layer: int = 3, *, crop: bool
) -> Tensor:
    """Patch features [N, T, d] of the set's images."""
    return model.features(encoder_input(reference, model, crop), layer)


def vqgan(reference: ReferenceSet) -> VQGAN:
    """The set's VQGAN, sized by its weights."""

    def make() -> VQGAN:
        path = reference.folder / VQGAN_FILE
        levels = count_of(path, reference.state(VQGAN_FILE), "encoder.down.")
        grid = 16
        if reference.has("vqgan.npz:codes"):
            grid = round(reference.numpy("vqgan.npz", "codes").shape[1] ** 0.5)
        return imported(read_autoencoder(path, resolution=grid * 2 ** (levels - 1)), load_vqgan)

    return reference.once("vqgan", make)


@dataclass(frozen=True)
class Decoder:
    """A transformer with its codes and what conditions them."""

    model: GPT | MaskGIT
    codes: Tensor
    extra: dict[str, Tensor]
    note: str


def heads_of(reference: ReferenceSet, name: str) -> int | None:
    """The heads that the manifest or the checkpoint's settings name."""
    said = model_settings(reference.checkpoint(f"{name}.pt")).get("decoder_attention_heads")
    found = reference.fact(f"models/{name}/heads") or said
    return int(found) if found else None


def decoder_state(reference: ReferenceSet, name: str) -> dict[str, Tensor]:
    """The entries of a checkpoint's decoder under the original names."""
    state = reference.state(f"{name}.pt")
    return {key: value for key, value in state.items() if key.startswith("decoder.")}


def build_decoder(
    reference: ReferenceSet, name: str, heads: int, length: int | None = None, dropout: float = 0.0
) -> GPT | MaskGIT:
    """A transformer with the set's weights, for images of `length` codes."""
    file = f"{name}.npz"
    prefix = reference.numpy(file, "sem").shape[1] if reference.has(f"{file}:sem") else 0
    found = read_decoder(
        reference.folder / f"{name}.pt",
        "stage2" if prefix else "stage1",
        heads=heads,
        length=length or reference.numpy(file, "tgt").shape[1] - 1,
        prefix_length=prefix,
        decoder="masked" if is_masked(reference, name) else "autoregressive",
    )
    model = imported(found, load_decoder)
    if model.config.dropout == dropout:
        return model
    # A file does not say it; the recorded training has its own.
    other = type(model)(replace(model.config, dropout=dropout))
    other.load_state_dict(model.state_dict())
    return other.eval()


def is_masked(reference: ReferenceSet, name: str) -> bool:
    """Whether a model is the non-autoregressive one: its vectors hold the steps of decoding."""
    return name.endswith("nar") or "argmax_final" in reference.keys(f"{name}.npz")


def decoder(reference: ReferenceSet, name: str) -> Decoder:
    """A transformer with its inputs."""

    def make() -> Decoder:
        file = f"{name}.npz"
        target = reference.tensor(file, "tgt")
        codes = (target[:, 1:] if is_masked(reference, name) else target[:, :-1]) - SPECIALS
        extra = {
            word: reference.tensor(file, key)
            for word, key in (("labels", "cls_ids"), ("prefix", "sem"))
            if reference.has(f"{file}:{key}")
        }
        heads, note = heads_of(reference, name), ""
        if heads is None:
            heads = fitting_heads(reference, name, codes, extra)
            note = f", {heads} heads (fit best)"
        return Decoder(build_decoder(reference, name, heads), codes, extra, note)

    return reference.once(f"decoder {name}", make)


@torch.no_grad()
def fitting_heads(
    reference: ReferenceSet, name: str, codes: Tensor, extra: dict[str, Tensor]
) -> int:
    """The heads with which the logits are nearest to the stored ones."""
    width = decoder_state(reference, name)["decoder.embed_tokens.weight"].shape[1]
    expected = reference.numpy(f"{name}.npz", "logits")

    def error(heads: int) -> float:
        model = build_decoder(reference, name, heads)
        if isinstance(model, MaskGIT):
            return gap(model.logits(codes, hidden(reference, name), **extra), expected[:, 1:]).error
        return gap(model.logits(codes, **extra), expected).error

    return min((h for h in range(1, width + 1) if width % h == 0), key=error)


def hidden(reference: ReferenceSet, name: str) -> Tensor:
    """Which codes are hidden in a masked model's stored input, bool [B, L]."""
    length = reference.numpy(f"{name}.npz", "vq").shape[1]
    return reference.tensor(f"{name}.npz", "input_ids")[:, -length:] == 3
