"""Sizes that are known before any job: of variants by their settings, of published ones by file.

Each function gives None where nothing tells, as for weights that are not there yet.
"""

from typing import Any

from tessera.config import lineage
from tessera.config.lineage import Tokenizer
from tessera.config.published import imported_facts, imported_sizes
from tessera.config.schema import Config
from tessera.config.tokenizers import (
    FittedCodebook,
    PublishedAutoencoder,
    PublishedEncoder,
    TrainedEncoder,
)


def encoder_size(config: Config, name: str, size: str) -> int | None:
    """A size of an encoder: its `width`, `depth`, `patch_size`."""
    variant = config.encoders[name]
    if isinstance(variant, TrainedEncoder):
        return _number(getattr(variant.model, size))
    found = imported_sizes(variant.path) if isinstance(variant, PublishedEncoder) else {}
    return _number(found.get(size))


def vocabulary(config: Config, tokenizer: Tokenizer) -> int | None:
    """How many codes a tokenizer has."""
    section, name = tokenizer
    if section == "autoencoders":
        return _number(_autoencoder(config, name).get("codes"))
    codebook = config.codebooks[name]
    if isinstance(codebook, FittedCodebook):
        return codebook.clusters
    return _number(imported_facts(codebook.path).get("clusters"))


def length(config: Config, tokenizer: Tokenizer) -> int | None:
    """How many codes a tokenizer makes of an image."""
    section, name = tokenizer
    if section == "autoencoders":
        sizes = _autoencoder(config, name)
        side, levels = _number(sizes.get("resolution")), sizes.get("multipliers")
        if side is None or not isinstance(levels, list | tuple):
            return None
        return int((side // 2 ** (len(levels) - 1)) ** 2)
    reading = lineage.reading_of_codebook(config, name)
    patch = encoder_size(config, reading.encoder, "patch_size")
    if reading.input_size is None or not patch:
        return None
    return (reading.input_size // patch) ** 2


def _autoencoder(config: Config, name: str) -> dict[str, Any]:
    variant = config.autoencoders[name]
    if isinstance(variant, PublishedAutoencoder):
        return imported_sizes(variant.path)
    return dict(variant.model)


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
