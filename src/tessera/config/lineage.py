"""Which tokenizers a model stands between, whether it was trained here or published.

A trained model names token sets, and these their tokenizers; a published one names its tokenizers
itself. The same questions are asked of a config (before any job) and of a node (in a job).
"""

from typing import Any

from tessera.config.published import imported_sizes
from tessera.config.results import Probe, Sampling
from tessera.config.schema import Config
from tessera.config.tokenizers import (
    FittedCodebook,
    PublishedAutoencoder,
    PublishedCodebook,
    PublishedEncoder,
    Reading,
    TrainedEncoder,
)
from tessera.config.training import PublishedStage1, PublishedStage2

Tokenizer = tuple[str, str]
"""Section ("codebooks" or "autoencoders") and name."""


def tokenizer_of_tokens(config: Config, name: str) -> Tokenizer:
    """The tokenizer of a token set."""
    return _named(config.tokens[name])


def tokenizer_of_stage1(config: Config, name: str) -> Tokenizer:
    """The tokenizer whose tokens a stage-1 model draws."""
    model = config.stage1[name]
    if isinstance(model, PublishedStage1):
        return _named(model)
    return tokenizer_of_tokens(config, model.tokens)


def tokenizers_of_stage2(config: Config, name: str) -> tuple[Tokenizer, Tokenizer]:
    """The tokenizers of what a stage-2 model reads and of what it draws."""
    model = config.stage2[name]
    if isinstance(model, PublishedStage2):
        return ("codebooks", model.codebook), ("autoencoders", model.autoencoder)
    return tokenizer_of_tokens(config, model.semantic), tokenizer_of_tokens(config, model.codes)


def painter(config: Config, sampling: Sampling) -> Tokenizer:
    """The tokenizer that turns the last codes of a sampling into pixels: an autoencoder."""
    if sampling.stage2 is None:
        return tokenizer_of_stage1(config, sampling.stage1)
    return tokenizers_of_stage2(config, sampling.stage2)[1]


def reading_of_codebook(config: Config, name: str) -> Reading:
    """How the features that a codebook quantises are read."""
    codebook = config.codebooks[name]
    return config.features[codebook.features] if isinstance(codebook, FittedCodebook) else codebook


def readings(config: Config) -> dict[str, Reading]:
    """How images pass encoders, by the place in the config that says it.

    Features, and published codebooks, which no features of this config were made for.
    """
    found: dict[str, Reading] = {f"features.{name}": it for name, it in config.features.items()}
    for name, codebook in config.codebooks.items():
        if isinstance(codebook, PublishedCodebook):
            found[f"codebooks.{name}"] = codebook
    return found


def resolution(config: Config, autoencoder: str) -> int | None:
    """Side of the images of an autoencoder, pixels; None where its folder does not tell."""
    variant = config.autoencoders[autoencoder]
    if isinstance(variant, PublishedAutoencoder):
        return imported_sizes(variant.path).get("resolution")
    return variant.model.resolution


def depth(config: Config, encoder: str) -> int | None:
    """Blocks of an encoder; None where that is not known before it is loaded."""
    variant = config.encoders[encoder]
    if isinstance(variant, PublishedEncoder):
        return imported_sizes(variant.path).get("depth")
    return variant.model.depth if isinstance(variant, TrainedEncoder) else None


def tokens_of_probe(config: Config, probe: Probe, stage1: str) -> str | None:
    """The token set that a probe of a model reads; None: neither of them names one."""
    return probe.tokens or getattr(config.stage1[stage1], "tokens", None)


def _named(holder: Any) -> Tokenizer:
    if holder.codebook is not None:
        return "codebooks", holder.codebook
    return "autoencoders", holder.autoencoder


def reading_node(codebook: dict[str, Any]) -> dict[str, Any]:
    """The node that says how the features of a codebook's node are read."""
    inputs: dict[str, Any] = codebook["inputs"]
    found: dict[str, Any] = inputs.get("features", codebook)
    return found


def drawn_node(model: dict[str, Any]) -> dict[str, Any]:
    """The node of the tokenizer whose codes a stage-1 or stage-2 model draws."""
    inputs = _of_drawn(model)
    # A published stage 2 names both tokenizers and draws codes of the autoencoder.
    found: dict[str, Any] = inputs["codebook" if draws_semantic(model) else "autoencoder"]
    return found


def draws_semantic(model: dict[str, Any]) -> bool:
    """Whether a model's node draws semantic tokens; otherwise codes of an autoencoder."""
    return "autoencoder" not in _of_drawn(model)


def _of_drawn(model: dict[str, Any]) -> dict[str, Any]:
    """The inputs among which the drawn tokenizer is: of the token set, or of a published model."""
    inputs: dict[str, Any] = model["inputs"]
    tokens = inputs.get("codes") or inputs.get("tokens")  # of a trained stage 2, of a stage 1
    return tokens["inputs"] if tokens else inputs
