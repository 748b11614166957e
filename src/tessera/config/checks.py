"""What must hold between variants, checked before any compute."""

from collections.abc import Iterator
from typing import Any

from tessera.config.base import Reference, references
from tessera.config.results import ClassifierExtractor, Sampling
from tessera.config.schema import Config
from tessera.config.tokenizers import TrainedEncoder
from tessera.errors import UserError


def check(config: Config) -> None:
    """Raises the first contradiction found.

    Raises:
        UserError: a reference that names nothing, or variants that do not fit together.
    """
    for section, name, field, reference, target in _references(config):
        known = getattr(config, reference.section)
        if target not in known:
            raise UserError(
                f"config: {section}.{name}.{field} names {target!r}, which is not in "
                f"{reference.section}: add it there, or choose one of {sorted(known)}"
            )
    for inspect in CHECKS:
        inspect(config)


def _references(config: Config) -> Iterator[tuple[str, str, str, Reference, str]]:
    for section in type(config).model_fields:
        variants = getattr(config, section)
        if not isinstance(variants, dict):
            continue
        for name, variant in variants.items():
            for field, reference in references(type(variant)).items():
                value: Any = getattr(variant, field)
                targets = value if isinstance(value, tuple) else (value,)
                for target in targets:
                    if target is not None:
                        yield section, name, field, reference, target


def _crops(config: Config) -> None:
    for name, views in config.views.items():
        size = views.resize or config.data[views.data].image_size
        if size is not None and views.crop > size:
            raise UserError(
                f"config: views.{name}.crop ({views.crop}) is larger than the image ({size}): "
                "lower it, or raise `resize`"
            )

    for name, autoencoder in config.autoencoders.items():
        crop, side = config.views[autoencoder.views].crop, autoencoder.model.resolution
        if crop != side:
            raise UserError(
                f"config: autoencoders.{name}.model.resolution ({side}) is not the crop of "
                f"views.{autoencoder.views} ({crop}): make them equal"
            )
    for name, tokens in config.tokens.items():
        if tokens.autoencoder is not None:
            crop = config.views[tokens.views].crop
            side = config.autoencoders[tokens.autoencoder].model.resolution
            if crop != side:
                raise UserError(
                    f"config: tokens.{name} gives crops of {crop} pixels to "
                    f"autoencoders.{tokens.autoencoder}, which reads {side}: use views of {side}"
                )


def _layers(config: Config) -> None:
    for name, features in config.features.items():
        encoder = config.encoders[features.encoder]
        if isinstance(encoder, TrainedEncoder) and features.layer > encoder.model.depth:
            raise UserError(
                f"config: features.{name}.layer ({features.layer}, counted from the end) is beyond "
                f"the {encoder.model.depth} blocks of encoders.{features.encoder}: lower it"
            )


def _painted(config: Config, sampling: Sampling) -> int:
    """Side of the images that a sampling paints, pixels."""
    tokens = config.stage1[sampling.stage1].tokens
    if sampling.stage2 is not None:
        tokens = config.stage2[sampling.stage2].codes
    autoencoder = config.tokens[tokens].autoencoder
    assert autoencoder is not None  # checked by `_pairs` and `_samplings`
    return config.autoencoders[autoencoder].model.resolution


def _evaluations(config: Config) -> None:
    for name, evaluation in config.evaluations.items():
        crop = config.views[evaluation.views].crop
        extractor = config.extractors[evaluation.extractor]
        if isinstance(extractor, ClassifierExtractor) and extractor.image_size != crop:
            raise UserError(
                f"config: extractors.{evaluation.extractor}.image_size ({extractor.image_size}) is "
                f"not the crop of views.{evaluation.views} ({crop}) that evaluations.{name} "
                "compares with: make them equal"
            )
        for entry in evaluation.samplings:
            side = _painted(config, config.samplings[entry])
            if side != crop:
                raise UserError(
                    f"config: evaluations.{name} compares images of {side} pixels "
                    f"(samplings.{entry}) with crops of {crop} (views.{evaluation.views}): "
                    f"give it views of {side}"
                )


def _names(config: Config) -> None:
    for name, stability in config.stabilities.items():
        both = set(stability.codebooks) & set(stability.autoencoders)
        if both:
            raise UserError(
                f"config: stabilities.{name} names a codebook and an autoencoder that are both "
                f"called {sorted(both)[0]!r}: rename one of them"
            )


def _points(config: Config) -> None:
    for name, codebook in config.codebooks.items():
        points = config.features[codebook.features].points
        if codebook.clusters > points:
            raise UserError(
                f"config: codebooks.{name}.clusters ({codebook.clusters}) is more than the points "
                f"of features.{codebook.features} ({points}): lower it, or raise `points`"
            )


def _pairs(config: Config) -> None:
    for name, stage2 in config.stage2.items():
        semantic, codes = config.tokens[stage2.semantic], config.tokens[stage2.codes]
        if semantic.codebook is None:
            raise UserError(
                f"config: stage2.{name}.semantic names tokens of an autoencoder "
                f"({stage2.semantic!r}): name tokens of a codebook"
            )
        if codes.autoencoder is None:
            raise UserError(
                f"config: stage2.{name}.codes names tokens of a codebook ({stage2.codes!r}): "
                "name tokens of an autoencoder, which can turn them into pixels"
            )
        if semantic.views != codes.views:
            raise UserError(
                f"config: stage2.{name} pairs tokens of other crops: {stage2.semantic!r} has views "
                f"{semantic.views!r}, {stage2.codes!r} has {codes.views!r}: give both the same"
            )


def _samplings(config: Config) -> None:
    for name, sampling in config.samplings.items():
        drawn = config.tokens[config.stage1[sampling.stage1].tokens]
        if sampling.stage2 is None:
            if drawn.autoencoder is None:
                raise UserError(
                    f"config: samplings.{name} draws semantic tokens and has no stage2 to turn "
                    "them into an image: set `stage2`"
                )
            continue
        wanted = config.tokens[config.stage2[sampling.stage2].semantic]
        if drawn.codebook != wanted.codebook:
            raise UserError(
                f"config: samplings.{name} mixes vocabularies: stage1.{sampling.stage1} draws "
                f"tokens of {drawn.codebook or drawn.autoencoder!r}, stage2.{sampling.stage2} "
                f"reads tokens of {wanted.codebook!r}: choose two of one codebook"
            )


def _probes(config: Config) -> None:
    for name, probe in config.probes.items():
        for model in probe.stage1:
            if config.stage1[model].class_conditional:
                raise UserError(
                    f"config: probes.{name}.stage1 names {model!r}, which is given the class, so "
                    "that a probe would measure nothing: name unconditional models"
                )


def _batches(config: Config) -> None:
    for stage, section in (("stage1", config.stage1), ("stage2", config.stage2)):
        micro = config.execute(stage).micro_batch
        for name, variant in section.items():
            batch = variant.training.batch
            if micro is not None and batch % micro:
                raise UserError(
                    f"config: {stage}.{name}.training.batch ({batch}) is not divisible by "
                    f"execution.{stage}.micro_batch ({micro}): change one of them"
                )


CHECKS = (
    _crops,
    _layers,
    _points,
    _pairs,
    _samplings,
    _probes,
    _evaluations,
    _names,
    _batches,
)
"""In this order: the later ones rely on what the earlier ones found."""
