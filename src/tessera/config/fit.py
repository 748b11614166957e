"""Whether published weights fit what the config says of them, and each other.

What their folders tell is compared before any compute. What is not known, such as the sizes of
timm's models or of weights that are not imported yet, is left to the stages.
"""

from typing import Any

from tessera.config import lineage
from tessera.config.lineage import Tokenizer
from tessera.config.published import imported_facts, imported_model, imported_sizes
from tessera.config.schema import Config
from tessera.config.sizes import encoder_size, length, vocabulary
from tessera.config.tokenizers import PublishedCodebook
from tessera.config.training import PublishedStage1, PublishedStage2
from tessera.errors import UserError


def patches(config: Config) -> None:
    """Raises where an encoder reads images that are no whole number of its patches."""
    for place, reading in lineage.readings(config).items():
        patch = encoder_size(config, reading.encoder, "patch_size")
        if patch and reading.input_size is not None and reading.input_size % patch:
            raise UserError(
                f"config: {place}.input_size ({reading.input_size}) is no multiple of the patches "
                f"of encoders.{reading.encoder} ({patch} pixels): change it"
            )


def codebooks(config: Config) -> None:
    """Raises where centroids are of another width than the features of their encoder."""
    for name, codebook in config.codebooks.items():
        if isinstance(codebook, PublishedCodebook):
            theirs = encoder_size(config, codebook.encoder, "width")
            own = imported_facts(codebook.path).get("width")
            if _differ(own, theirs):
                raise UserError(
                    f"config: codebooks.{name} has centroids of width {own}, but the features of "
                    f"encoders.{codebook.encoder} have {theirs}: name the encoder that they are of"
                )


def decoders(config: Config) -> None:
    """Raises where a published decoder was made for other tokenizers, or decodes otherwise."""
    for name, stage1 in config.stage1.items():
        if isinstance(stage1, PublishedStage1):
            sizes, tokenizer = (
                imported_sizes(stage1.path),
                lineage.tokenizer_of_stage1(config, name),
            )
            _require_codes(config, f"stage1.{name}", "draws", sizes, "", tokenizer)
            classes = sizes.get("classes")
            if classes is not None and bool(classes) != stage1.class_conditional:
                raise UserError(
                    f"config: stage1.{name}.class_conditional is "
                    f"{str(stage1.class_conditional).lower()}, but the model in {stage1.path} has "
                    f"{classes or 'no'} classes: correct it"
                )
    for name, stage2 in config.stage2.items():
        if isinstance(stage2, PublishedStage2):
            sizes, place = imported_sizes(stage2.path), f"stage2.{name}"
            reads, draws = lineage.tokenizers_of_stage2(config, name)
            _require_codes(config, place, "reads", sizes, "prefix_", reads)
            _require_codes(config, place, "draws", sizes, "", draws)
            model = imported_model(stage2.path)
            if model is not None and (model == "MaskGIT") != (stage2.decoder == "masked"):
                raise UserError(
                    f"config: {place}.decoder is {stage2.decoder}, but {stage2.path} was imported "
                    f"as {model}: correct it, or import it with --decoder"
                )


def pairs(config: Config) -> None:
    """Raises where a sampling gives a published stage 2 other tokens than its stage 1 draws."""
    for name, sampling in config.samplings.items():
        if sampling.stage2 is None:
            continue
        stage1, stage2 = config.stage1[sampling.stage1], config.stage2[sampling.stage2]
        if not isinstance(stage1, PublishedStage1) or not isinstance(stage2, PublishedStage2):
            continue
        drawn, read = imported_sizes(stage1.path), imported_sizes(stage2.path)
        for size, what in (("vocabulary", "different tokens"), ("length", "tokens an image")):
            one, other = drawn.get(size), read.get(f"prefix_{size}")
            if _differ(one, other):
                raise UserError(
                    f"config: samplings.{name}: stage1.{sampling.stage1} draws {one} {what}, but "
                    f"stage2.{sampling.stage2} reads {other}: name two that belong together"
                )


def _require_codes(
    config: Config, place: str, verb: str, sizes: dict[str, Any], prefix: str, to: Tokenizer
) -> None:
    """Raises where a decoder's codes are not those of a tokenizer, in number or in length."""
    count, known = sizes.get(f"{prefix}vocabulary"), vocabulary(config, to)
    if _differ(count, known):
        raise UserError(
            f"config: {place} {verb} {count} different codes, but {'.'.join(to)} has {known}: "
            "name the tokenizer that it was trained with"
        )
    count, known = sizes.get(f"{prefix}length"), length(config, to)
    if _differ(count, known):
        option = f"--{prefix.replace('_', '-')}length {known}"
        raise UserError(
            f"config: {place} {verb} {count} codes an image, but {'.'.join(to)} makes {known}: "
            f"name the tokenizer that it was trained with, or import it with {option}"
        )


def _differ(one: object, other: object) -> bool:
    """Whether two sizes are known and are not the same."""
    return one is not None and other is not None and one != other


CHECKS = (patches, codebooks, decoders, pairs)
