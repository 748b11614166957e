"""The sizes of a config's models: of its settings, of imported weights, or by a model's name."""

import re
from dataclasses import dataclass
from typing import Any

from tessera.config import lineage, sizes
from tessera.config.networks import ViTShape, VQGANShape
from tessera.config.published import imported_sizes
from tessera.config.results import Sampling
from tessera.config.schema import Config
from tessera.config.tokenizers import (
    Encoder,
    PublishedAutoencoder,
    PublishedEncoder,
    Reading,
    TrainedEncoder,
)
from tessera.config.training import PublishedStage1, PublishedStage2, TransformerShape
from tessera.plan import convolutions, transformers
from tessera.plan.images import Images, images
from tessera.plan.passes import Pass
from tessera.plan.transformers import DecoderSize

MAGE = VQGANShape(
    resolution=256, channels=128, multipliers=(1, 1, 2, 2, 4), residual_blocks=2, codes=1024,
    code_width=256,
)  # fmt: skip
"""The published VQGAN, where no imported folder says otherwise."""
VISION = {
    "small": {"width": 384, "depth": 12, "heads": 6},
    "base": {"width": 768, "depth": 12, "heads": 12},
    "large": {"width": 1024, "depth": 24, "heads": 16},
}
DECODERS = {
    "base": {"width": 1024, "layers": 16, "ffn": 4096, "max_positions": 1024},
    "large": {"width": 1536, "layers": 24, "ffn": 6144, "max_positions": 1024},
}
CLUSTERS = {"base": 8192, "large": 16_384}
"""Sizes of ViTs and of DiGIT's models by the words in their names."""


def _named(words: tuple[str, ...], known: dict[str, Any]) -> Any:
    """The sizes that one of some names says; base, if none says any."""
    found = re.search("|".join(known), " ".join(words).lower())
    return known[found[0] if found else "base"]


def encoder_shape(name: str, encoder: Encoder) -> ViTShape:
    """The sizes of an encoder.

    Args:
        name: the variant's, which may say small, base or large.
        encoder: its settings.
    """
    if isinstance(encoder, TrainedEncoder):
        return encoder.model
    words = (encoder.path if isinstance(encoder, PublishedEncoder) else encoder.model, name)
    if isinstance(encoder, PublishedEncoder):
        found = imported_sizes(encoder.path)
        known = {field: found[field] for field in ViTShape.model_fields if field in found}
        if {"image_size", "patch_size", "width", "depth", "heads"} <= known.keys():
            return ViTShape(**known)
    patch = re.search(r"patch(\d+)", words[0])
    side = int(patch[1]) if patch else 14
    return ViTShape(
        image_size=37 * side, patch_size=side, mlp_ratio=4, registers=4, layer_scale=1,
        **_named(words, VISION),
    )  # fmt: skip


def guessed(config: Config) -> list[str]:
    """The models of which nothing but a name says how large they are, one sentence each."""
    found = []
    for section in ("encoders", "autoencoders", "stage1", "stage2"):
        for name, variant in getattr(config, section).items():
            if getattr(variant, "kind", "") not in ("published", "timm"):
                continue
            if not imported_sizes(getattr(variant, "path", "")):
                found.append(f"{section}.{name}: its sizes are those that its name says")
    return found


def autoencoder_shape(config: Config, name: str) -> VQGANShape:
    """The sizes of an autoencoder."""
    variant = config.autoencoders[name]
    if not isinstance(variant, PublishedAutoencoder):
        return variant.model
    found = imported_sizes(variant.path)
    fields = VQGANShape.model_fields
    return VQGANShape(**found) if found and set(found) <= set(fields) else MAGE


@dataclass(frozen=True)
class Tokenizer:
    """What turns images into tokens.

    Attributes:
        forward: one pass, up to the tokens.
        vocabulary: different tokens.
        length: tokens of an image.
        parameters: weights of its networks.
        bfloat16: whether its network runs in bfloat16.
    """

    forward: Pass
    vocabulary: int
    length: int
    parameters: float
    bfloat16: bool


def featurizer(config: Config, reading: Reading, crop: int) -> Tokenizer:
    """An encoder as features are read from it: a tokenizer that has no vocabulary yet."""
    shape = encoder_shape(reading.encoder, config.encoders[reading.encoder])
    side = reading.input_size or crop
    return Tokenizer(
        transformers.vision(shape, side, reading.layer),
        0,
        (side // shape.patch_size) ** 2,
        transformers.vision_parameters(shape),
        reading.precision == "bfloat16",
    )


def width_of(config: Config, reading: Reading) -> int:
    """Channels of the features that are read."""
    return encoder_shape(reading.encoder, config.encoders[reading.encoder]).width


def tokenizer(config: Config, section: str, name: str, crop: int) -> Tokenizer:
    """A codebook with its encoder, or an autoencoder.

    Args:
        config: the validated config.
        section: "codebooks" or "autoencoders".
        name: the tokenizer's.
        crop: side of the images, pixels.
    """
    if section == "autoencoders":
        shape = autoencoder_shape(config, name)
        made = convolutions.encoder(shape)
        weights = convolutions.parameters(shape)
        return Tokenizer(made, shape.codes, convolutions.grid(shape) ** 2, weights, False)
    reading = lineage.reading_of_codebook(config, name)
    read = featurizer(config, reading, crop)
    clusters = sizes.vocabulary(config, (section, name))
    if clusters is None:
        clusters = int(_named((getattr(config.codebooks[name], "path", ""), name), CLUSTERS))
    width = width_of(config, reading)
    distances = Pass(
        operations=2.0 * read.length * width * clusters,
        values=2.0 * read.length * clusters,
        kernels=6.0,
    )
    parameters = read.parameters + width * clusters
    return Tokenizer(read.forward + distances, clusters, read.length, parameters, read.bfloat16)


def stage1_size(config: Config, name: str) -> DecoderSize:
    """The sizes of a stage-1 model."""
    variant = config.stage1[name]
    section, found = lineage.tokenizer_of_stage1(config, name)
    tokens = getattr(variant, "tokens", None)
    reads = tokenizer(config, section, found, _crop(config, tokens))
    classes = 1000 if tokens is None else images_of_tokens(config, tokens).classes
    if not variant.class_conditional:
        classes = 0
    if isinstance(variant, PublishedStage1):
        published = {"vocabulary": reads.vocabulary, "length": reads.length, "norm": "post"}
        return _published(variant.path, name, published | {"classes": classes})
    return DecoderSize(
        vocabulary=reads.vocabulary, length=reads.length, classes=classes, norm=variant.norm,
        **_shape(variant.model, reads.length + 1),
    )  # fmt: skip


def stage2_size(config: Config, name: str) -> DecoderSize:
    """The sizes of a stage-2 model."""
    variant = config.stage2[name]
    found = lineage.tokenizers_of_stage2(config, name)
    crop = _crop(config, getattr(variant, "semantic", None))
    semantic, codes = (tokenizer(config, *which, crop) for which in found)
    lengths: dict[str, Any] = {
        "vocabulary": codes.vocabulary,
        "length": codes.length,
        "prefix_vocabulary": semantic.vocabulary,
        "prefix_length": semantic.length,
    }
    if isinstance(variant, PublishedStage2):
        return _published(variant.path, name, lengths)
    return DecoderSize(**lengths, **_shape(variant.model, max(codes.length + 1, semantic.length)))


def images_of_tokens(config: Config, tokens: str) -> Images:
    """The data set that a token set is made of."""
    return images(config, config.views[config.tokens[tokens].views].data)


def _crop(config: Config, tokens: str | None) -> int:
    """Side of the views of a token set; 256 for published models, which name none."""
    return 256 if tokens is None else config.views[config.tokens[tokens].views].crop


def _shape(shape: TransformerShape, positions: int) -> dict[str, Any]:
    return {
        "width": shape.width,
        "layers": shape.layers,
        "ffn": shape.ffn or 4 * shape.width,
        "max_positions": shape.max_positions or positions,
    }


def _published(path: str, name: str, lengths: dict[str, Any]) -> DecoderSize:
    """The sizes of an imported decoder, or those that its name says."""
    found = imported_sizes(path)
    fields = DecoderSize.__dataclass_fields__
    known = {field: found[field] for field in fields if field in found}
    if {"width", "layers", "ffn", "vocabulary", "length"} <= known.keys():
        return DecoderSize(**known)
    return DecoderSize(**lengths, **_named((path, name), DECODERS))


def codebook_width(config: Config, name: str) -> int:
    """Channels of a codebook's centroids."""
    return width_of(config, lineage.reading_of_codebook(config, name))


def painted_side(config: Config, sampling: Sampling) -> int:
    """Side of the images of a sampling, pixels."""
    return autoencoder_shape(config, lineage.painter(config, sampling)[1]).resolution
