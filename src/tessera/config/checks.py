"""What must hold between variants, checked before any compute."""

from collections.abc import Collection, Mapping, Sequence

from tessera.config import ablation, fit, lineage
from tessera.config.dangling import require_targets
from tessera.config.results import ClassifierExtractor
from tessera.config.schema import SPREAD, Config, stages
from tessera.config.tokenizers import (
    FittedCodebook,
    TrainedAutoencoder,
)
from tessera.config.training import TrainedStage1, TrainedStage2
from tessera.errors import UserError


def check(config: Config, off: Mapping[str, Collection[str]]) -> None:
    """Raises the first contradiction found.

    Args:
        config: the config, whose single variants are valid.
        off: section → variants that the config files switch off.

    Raises:
        UserError: a reference that names nothing, or variants that do not fit together.
    """
    require_targets(config, off)
    for inspect in CHECKS:
        inspect(config)


def _crops(config: Config) -> None:
    for name, views in config.views.items():
        size = views.resize or getattr(config.data[views.data], "image_size", None)
        sides = {"crop": views.crop, "validation_crop": views.side("validation")}
        if views.resized_crop:
            del sides["crop"]  # it is enlarged where the image is smaller
        for field, side in sides.items():
            if size is not None and side > size:
                raise UserError(
                    f"config: views.{name}.{field} ({side}) is larger than the image ({size}): "
                    "lower it, or raise `resize`"
                )

    for name, autoencoder in config.autoencoders.items():
        if not isinstance(autoencoder, TrainedAutoencoder):
            continue
        views, side = config.views[autoencoder.views], autoencoder.model.resolution
        if views.crop != side:
            raise UserError(
                f"config: autoencoders.{name}.model.resolution ({side}) is not the crop of "
                f"views.{autoencoder.views} ({views.crop}): make them equal"
            )
        if views.side("validation") != side:
            raise UserError(
                f"config: autoencoders.{name} reads images of {side} pixels, and "
                f"views.{autoencoder.views}.validation_crop is {views.side('validation')}: make "
                "them equal"
            )
    for name, tokens in config.tokens.items():
        crop, held_out = (
            config.views[tokens.views].crop,
            config.views[tokens.views].side("validation"),
        )
        reading = lineage.reading_of_codebook(config, tokens.codebook) if tokens.codebook else None
        if crop != held_out and (reading is None or reading.input_size is None):
            raise UserError(
                f"config: tokens.{name} would have other lengths in training and validation, for "
                f"views.{tokens.views} has crops of {crop} and {held_out} pixels: make them equal, "
                "or name a codebook whose features have an `input_size`"
            )
        if tokens.autoencoder is not None:
            reads = lineage.resolution(config, tokens.autoencoder)
            if reads is not None and crop != reads:
                raise UserError(
                    f"config: tokens.{name} gives crops of {crop} pixels to "
                    f"autoencoders.{tokens.autoencoder}, which reads {reads}: use views of {reads}"
                )


def _layers(config: Config) -> None:
    for place, reading in lineage.readings(config).items():
        blocks = lineage.depth(config, reading.encoder)
        if blocks is not None and reading.layer > blocks:
            raise UserError(
                f"config: {place}.layer ({reading.layer}, counted from the end) is beyond "
                f"the {blocks} blocks of encoders.{reading.encoder}: lower it"
            )


def _evaluations(config: Config) -> None:
    for name, evaluation in config.evaluations.items():
        extractor = config.extractors[evaluation.extractor]
        if evaluation.views is None:
            if isinstance(extractor, ClassifierExtractor):
                raise UserError(
                    f"config: evaluations.{name} compares features of the classifier "
                    f"extractors.{evaluation.extractor} with statistics, which are Inception's: "
                    "name an extractor of kind inception, or give views instead"
                )
            continue
        place = f"evaluations.{name}"
        _same_size(config, place, evaluation.extractor, evaluation.views)
        _painted_alike(config, place, evaluation.samplings, evaluation.views)


def _neighbours(config: Config) -> None:
    for name, neighbours in config.neighbours.items():
        place = f"neighbours.{name}"
        _same_size(config, place, neighbours.extractor, neighbours.views)
        _painted_alike(config, place, neighbours.samplings, neighbours.views)


def _painted_alike(config: Config, place: str, samplings: Sequence[str], views: str) -> None:
    """Raises where sample sets are of another size than the views that they are compared with."""
    crop = config.views[views].side("validation")  # also of training images
    for entry in samplings:
        side = lineage.resolution(config, lineage.painter(config, config.samplings[entry])[1])
        if side is not None and side != crop:
            raise UserError(
                f"config: {place} compares images of {side} pixels (samplings.{entry}) with crops "
                f"of {crop} (views.{views}): give it views of {side}"
            )


def _same_size(config: Config, place: str, extractor: str, views: str) -> None:
    """Raises where a classifier sees images of another size than the views that it judges."""
    chosen, crop = config.extractors[extractor], config.views[views].side("validation")
    if isinstance(chosen, ClassifierExtractor) and chosen.image_size != crop:
        raise UserError(
            f"config: extractors.{extractor}.image_size ({chosen.image_size}) is not the crop of "
            f"views.{views} ({crop}) that {place} compares with: make them equal"
        )


def _reconstructions(config: Config) -> None:
    for name, reconstruction in config.reconstructions.items():
        crop = config.views[reconstruction.views].side("validation")
        reads = lineage.resolution(config, reconstruction.autoencoder)
        if reads is not None and crop != reads:
            raise UserError(
                f"config: reconstructions.{name} gives crops of {crop} pixels to "
                f"autoencoders.{reconstruction.autoencoder}, which reads {reads}: "
                f"use views of {reads}"
            )
        place = f"reconstructions.{name}"
        _same_size(config, place, reconstruction.extractor, reconstruction.views)


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
        if not isinstance(codebook, FittedCodebook):
            continue
        points = config.features[codebook.features].points
        if codebook.clusters > points:
            raise UserError(
                f"config: codebooks.{name}.clusters ({codebook.clusters}) is more than the points "
                f"of features.{codebook.features} ({points}): lower it, or raise `points`"
            )


def _pairs(config: Config) -> None:
    for name, stage2 in config.stage2.items():
        if not isinstance(stage2, TrainedStage2):
            continue
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
        drawn = lineage.tokenizer_of_stage1(config, sampling.stage1)
        if sampling.stage2 is None:
            if drawn[0] != "autoencoders":
                raise UserError(
                    f"config: samplings.{name} draws semantic tokens and has no stage2 to turn "
                    "them into an image: set `stage2`"
                )
            continue
        wanted = lineage.tokenizers_of_stage2(config, sampling.stage2)[0]
        if drawn != wanted:
            raise UserError(
                f"config: samplings.{name} mixes vocabularies: stage1.{sampling.stage1} draws "
                f"tokens of {drawn[1]!r}, stage2.{sampling.stage2} reads tokens of {wanted[1]!r}: "
                "choose two of one codebook"
            )


def _probes(config: Config) -> None:
    for name, probe in config.probes.items():
        for model in probe.stage1:
            if config.stage1[model].class_conditional:
                raise UserError(
                    f"config: probes.{name}.stage1 names {model!r}, which is given the class, so "
                    "that a probe would measure nothing: name unconditional models"
                )
            tokens = lineage.tokens_of_probe(config, probe, model)
            if tokens is None:
                raise UserError(
                    f"config: probes.{name} names no token set, and the published stage1.{model} "
                    "was trained on none of this config: set `tokens`"
                )
            given = lineage.tokenizer_of_tokens(config, tokens)
            drawn = lineage.tokenizer_of_stage1(config, model)
            if given != drawn:
                raise UserError(
                    f"config: probes.{name}.tokens names tokens of {given[0]}.{given[1]} "
                    f"({tokens!r}), but stage1.{model} draws those of {drawn[0]}.{drawn[1]}: name "
                    "tokens of that one"
                )


def _batches(config: Config) -> None:
    for stage, section in (("stage1", config.stage1), ("stage2", config.stage2)):
        micro = config.execute(stage).micro_batch
        for name, variant in section.items():
            if not isinstance(variant, TrainedStage1 | TrainedStage2):
                continue
            batch = variant.training.batch
            if micro is not None and batch % micro:
                raise UserError(
                    f"config: {stage}.{name}.training.batch ({batch}) is not divisible by "
                    f"execution.{stage}.micro_batch ({micro}): change one of them"
                )
            processes = config.execute(stage).processes
            if batch % ((micro or 1) * processes):
                of = f" of {micro} images" if micro else ""
                raise UserError(
                    f"config: {stage}.{name}.training.batch ({batch}) cannot be cut into equal "
                    f"numbers of micro-batches{of} for {processes} processes, one for each GPU of "
                    f"execution.{stage}: change the batch, gpus, nodes or micro_batch"
                )


def _processes(config: Config) -> None:
    """Refuses several GPUs for a job that would leave all but one of them idle."""
    for stage in sorted({*stages()} - {*SPREAD}):
        execution = config.execute(stage)
        if execution.processes > 1:
            raise UserError(
                f"config: execution.{stage} gives {execution.gpus} GPUs on {execution.nodes} nodes "
                f"to each job of {stage}, which is one process: set gpus to 1 at most and nodes to "
                "1 there; stages that take `parts` use more GPUs by more parts"
            )


CHECKS = (
    _crops,
    _layers,
    _points,
    _pairs,
    _samplings,
    _probes,
    _evaluations,
    _neighbours,
    _reconstructions,
    _names,
    _batches,
    _processes,
    ablation.check,
    *fit.CHECKS,
)
"""In this order: the later ones rely on what the earlier ones found."""
