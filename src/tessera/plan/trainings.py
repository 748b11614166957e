"""What the trainings cost: encoder, autoencoder, extractor, stage 1, stage 2, probes."""

from tessera.config import lineage
from tessera.config.paths import SPLITS
from tessera.config.results import ClassifierExtractor
from tessera.config.schema import Config
from tessera.config.tokenizers import TrainedAutoencoder, TrainedEncoder
from tessera.config.training import TrainedStage1, TrainedStage2, Training
from tessera.plan import convolutions, models, reading, transformers
from tessera.plan.cost import COPY, RUNTIME, Cost, Task, passes
from tessera.plan.images import images
from tessera.plan.passes import BACKWARD, Pass
from tessera.plan.transformers import DecoderSize

GLANCE = 2048
"""Validation images of a line of the log (`tessera.stages.training.GLANCE`)."""
STATE = 12.0
"""Bytes of a weight in a checkpoint: itself and AdamW's two moments."""
WEIGHT = 20.0
"""Bytes of a weight while it is trained: the same, its gradient, and what an update puts aside."""
UPDATE_KERNELS = 100
KEPT_STATES = 2e9
"""Bytes of hidden states up to which a probe keeps them (`tessera.stages.probe.KEEP_MB`)."""


def _room(config: Config, weights: float, steps: int, averaged: bool = False) -> Cost:
    """Weights of a training: on the device, saved at the end, and in checkpoints on the way.

    Two checkpoints: the last one and the one before it stay until the training is done.
    """
    extra = 4.0 if averaged else 0.0
    saves = steps // config.checkpoint_every + 1
    return Cost(
        host=COPY * weights * (saves * (STATE + extra) + 4),
        gpu=weights * (WEIGHT + extra),
        memory=RUNTIME["torch"],
        kept=4 * weights,
        temporary=2 * weights * (STATE + extra),
    )


def _updates(network: Pass, steps: int, batch: int, at_once: int, half: bool = False) -> Cost:
    """Updates with gradients, and the activations of what passes at once."""
    saved = network.saved_half if half else network.saved
    work = passes(network, steps * batch, at_once, BACKWARD, half)
    return work + Cost(kernels=UPDATE_KERNELS * steps, gpu=saved * at_once)


def _lines(steps: int, log_every: int) -> int:
    """Lines of a training's log."""
    return len({1, steps, *range(log_every, steps + 1, log_every)})


def encoder(config: Config, task: Task) -> Cost:
    """DINO: two views pass the teacher, and the student with its gradient."""
    variant = config.encoders[task.name]
    assert isinstance(variant, TrainedEncoder)
    data, shape, training = images(config, variant.data), variant.model, variant.training
    side = training.global_views.size
    tokens = (side // shape.patch_size) ** 2
    widths = (shape.width, training.hidden, training.hidden, training.bottleneck)
    heads = transformers.mlp(1 + tokens, (*widths, training.prototypes))
    view = transformers.vision(shape, side) + heads
    seen = 2 * training.batch
    work = _updates(view, training.steps, seen, seen)
    work += passes(view + _augmentation(side), training.steps * seen, seen)  # the teacher's
    if training.local_views is not None:
        small = training.local_views.size
        local, seen = transformers.vision(shape, small), training.locals * training.batch
        work += _updates(local, training.steps, seen, training.batch)
        work += passes(_augmentation(small), training.steps * seen, training.batch)
    weights = float(transformers.vision_parameters(shape))
    pixels = 3 * shape.image_size**2 * data.train
    read = reading.seconds(data, data.train, shape.image_size)
    # The mean of all pixels is taken in float32, beside the bytes.
    return (
        work
        + _room(config, weights, training.steps, averaged=True)
        + Cost(host=read, memory=14.0 * pixels)
    )


def _augmentation(side: int) -> Pass:
    """Random views: some ten pointwise operations on all pixels."""
    return Pass(values=10 * 3.0 * side**2, kernels=40)


def autoencoder(config: Config, task: Task) -> Cost:
    """VQGAN: reconstruction; once it takes part, a discriminator that is passed nine times."""
    variant = config.autoencoders[task.name]
    assert isinstance(variant, TrainedAutoencoder)
    views, data = reading.viewed(config, variant.views)
    shape, training = variant.model, variant.training
    network = convolutions.encoder(shape) + convolutions.decoder(shape)
    work = _updates(network, training.steps, training.batch, training.batch)
    judge = convolutions.discriminator(variant.discriminator, shape.resolution)
    judged = max(0, training.steps - training.discriminator_start)
    if training.discriminator_weight > 0:
        # The images that were made: forward, twice back. Real and made ones: an update.
        work += _updates(judge, judged, 3 * training.batch, 2 * training.batch)
    lines = _lines(training.steps, config.log_every) + 1
    work += passes(network, lines * data.validation, 256)
    loaded = data.train * views.count + data.validation
    read = sum(reading.split_seconds(views, data, split) for split in SPLITS)
    room = _room(config, convolutions.parameters(shape), training.steps)
    pixels = 3.0 * shape.resolution**2
    alive = network.alive * min(256, data.validation)
    return work + room + Cost(host=read, memory=3 * pixels * loaded, gpu=alive)


def extractor(config: Config, task: Task) -> Cost:
    """The classifier; all of the validation split at each line of the log."""
    variant = config.extractors[task.name]
    assert isinstance(variant, ClassifierExtractor)
    data, side = images(config, variant.data), variant.image_size
    network = convolutions.classifier(variant.width, side)
    work = _updates(network, variant.steps, variant.batch, variant.batch)
    work += passes(_augmentation(side), variant.steps * variant.batch, variant.batch)
    lines = _lines(variant.steps, config.log_every) + 1
    work += passes(network, lines * data.validation, 256)
    count = data.train + data.validation
    read = reading.seconds(data, count, side)
    return (
        work
        + _room(config, 12.0 * variant.width**2, variant.steps)
        + Cost(host=read, memory=9.0 * side**2 * count)
    )


def stage1(config: Config, task: Task) -> Cost:
    """A GPT over tokens."""
    variant = config.stage1[task.name]
    assert isinstance(variant, TrainedStage1)
    size = models.stage1_size(config, task.name)
    network = transformers.decoder(size)
    data, stored = _token_set(config, variant.tokens, size.length)
    work = _decoder(config, task, size, network, variant.training, data.validation)
    drawn = lineage.tokenizer_of_stage1(config, task.name)
    return work + _pictures(config, drawn) + Cost(memory=3 * stored, gpu=stored)


def stage2(config: Config, task: Task) -> Cost:
    """A decoder from semantic tokens to codes."""
    variant = config.stage2[task.name]
    assert isinstance(variant, TrainedStage2)
    size = models.stage2_size(config, task.name)
    network = transformers.decoder(size, variant.kind == "masked")
    data, semantic = _token_set(config, variant.semantic, size.prefix_length)
    _, codes = _token_set(config, variant.codes, size.length)
    work = _decoder(config, task, size, network, variant.training, data.validation)
    _, drawn = lineage.tokenizers_of_stage2(config, task.name)
    stored = semantic + codes
    return (
        work + _pictures(config, drawn) + Cost(memory=2 * max(semantic, codes) + stored, gpu=stored)
    )


def _pictures(config: Config, drawn: lineage.Tokenizer) -> Cost:
    """The autoencoder that paints pictures of the training: its weights stay on the device.

    What it computes is left out: the time was 0.6 to 1.6 % of that of the training, and the memory
    is what the training's own activations, gone by then, have left.
    """
    section, name = drawn
    if section != "autoencoders" or not config.pictures_every:
        return Cost()
    return Cost(gpu=4.0 * convolutions.parameters(models.autoencoder_shape(config, name)))


def _token_set(config: Config, tokens: str, length: int) -> tuple[models.Images, float]:
    """The images of a token set, and its bytes in memory: int16."""
    data = models.images_of_tokens(config, tokens)
    views = config.views[config.tokens[tokens].views].count
    return data, 2.0 * length * (data.train * views + data.validation)


def _decoder(
    config: Config,
    task: Task,
    size: DecoderSize,
    network: Pass,
    training: Training,
    validation: int,
) -> Cost:
    half = training.precision == "bfloat16"
    execution = config.execute(task.stage)
    share = max(1, training.batch // max(1, execution.gpus * execution.nodes))
    at_once = min(share, execution.micro_batch or share)
    work = _updates(network, training.steps, training.batch, at_once, half)
    lines = _lines(training.steps, config.log_every)
    checked = lines * min(GLANCE, validation) + validation
    work += passes(network, checked, execution.micro_batch or 512, bfloat16=half)
    return work + _room(config, float(size.parameters), training.steps, training.ema is not None)


def probe(config: Config, task: Task) -> Cost:
    """Linear classifiers of all layers, over states that are kept or made anew for each update."""
    variant = config.probes[task.name]
    assert task.each is not None
    size = models.stage1_size(config, task.each)
    tokens = lineage.tokens_of_probe(config, variant, task.each)
    assert tokens is not None  # checked with the config
    data, stored = _token_set(config, tokens, size.length)
    views = config.views[config.tokens[tokens].views].count
    layers, batch = size.layers + 1, min(variant.batch, data.train)
    network = transformers.decoder(size)
    everything = data.train * views + data.validation
    states = 4.0 * layers * size.width * everything
    kept = states <= KEPT_STATES
    passed = everything if kept else variant.steps * batch + data.validation
    at_once = config.execute(task.stage).batch
    half = variant.precision == "bfloat16"
    classifiers = Pass(
        operations=2.0 * layers * size.width * data.classes,
        values=float(layers * (size.width + 3 * data.classes)),
        kernels=5.0,
        saved=4.0 * layers * (size.width + 3 * data.classes),
    )
    weights = float(layers * size.width * data.classes)
    work = passes(network, passed, at_once, bfloat16=half)
    work += _updates(classifiers, variant.steps, batch, batch)
    return work + Cost(
        gpu=4.0 * size.parameters + 16 * weights + stored + network.alive * at_once
        + (states if kept else 0.0),
        memory=RUNTIME["torch"] + 3 * stored,
        temporary=2 * 8 * weights,
    )  # fmt: skip
