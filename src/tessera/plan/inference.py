"""What the stages cost that pass images through finished networks."""

from tessera.config import lineage
from tessera.config.schema import Config
from tessera.plan import convolutions, models, reading, transformers
from tessera.plan.cost import COPY, RUNTIME, Cost, Task, passes
from tessera.plan.passes import Pass

NOISE = 12e-9
"""Seconds of one thread a normal number."""
NEIGHBOUR, KERNEL, CHANNEL, CUBE = 50e-9, 15e-9, 2.5e-11, 1.5e-9
"""Seconds of one thread for a pair of features in precision and recall, one in the kernel distance,
a channel of a pair, and the cube of the channels in the Fréchet distance: measured at 64 and 512
channels."""
PAINTED = 64
"""Images that the autoencoder decodes at once (`tessera.models.vqgan`)."""
SUBSETS, SUBSET = 100, 1000
"""Of the kernel distance (`tessera.metrics.fidelity`)."""


SORTED, DIGESTED = 50e-9, 1.5e-9
"""Seconds of one thread for a distance that is sorted, and for a byte of a digest."""


def features(config: Config, task: Task) -> Cost:
    """An encoder over one view of each training image, of which a few tokens are kept."""
    variant = config.features[task.name]
    views, data = reading.viewed(config, variant.views)
    made = models.featurizer(config, variant, views.crop)
    count, copies = data.train / task.parts, reading.views_of(views, "train")
    batch = config.execute(task.stage).batch
    width = models.width_of(config, variant)
    points = min(float(variant.points), float(data.train * copies * made.length)) / task.parts
    size = 2 if variant.dtype == "float16" else 4
    return passes(made.forward, count * copies, batch, bfloat16=made.bfloat16) + Cost(
        host=reading.split_seconds(views, data, "train", task.parts),
        gpu=4 * made.parameters + batch * made.forward.alive,
        memory=RUNTIME["torch"] + _batch(batch, views.crop, copies) + 12 * points * width,
        kept=points * (width * size + 8),
    )


def _batch(batch: int, side: int, copies: int = 1) -> float:
    """Bytes of the images on the host: a batch, the next one, which threads decode, and a copy."""
    return 3.0 * 3 * batch * side**2 * copies


def tokens(config: Config, task: Task) -> Cost:
    """A tokenizer over all views of one part of a split."""
    variant, split = config.tokens[task.name], task.split or "train"
    views, data = reading.viewed(config, variant.views)
    made = models.tokenizer(
        config, *lineage.tokenizer_of_tokens(config, task.name), views.side(split)
    )
    count, copies = data.count(split) / task.parts, reading.views_of(views, split)
    batch = config.execute(task.stage).batch
    made_bytes = 2 * count * copies * made.length
    return passes(made.forward, count * copies, batch, bfloat16=made.bfloat16) + Cost(
        host=reading.split_seconds(views, data, split, task.parts),
        gpu=4 * made.parameters + batch * made.forward.alive,
        memory=RUNTIME["torch"] + _batch(batch, views.side(split), copies) + 2 * made_bytes,
        kept=made_bytes,
    )


def sampling(config: Config, task: Task) -> Cost:
    """Stage 1 and 2 with their caches, a batch after the other, and the painter."""
    variant = config.samplings[task.name]
    count, batch = variant.count / task.parts, config.execute(task.stage).batch
    first = models.stage1_size(config, variant.stage1)
    shape = models.autoencoder_shape(config, lineage.painter(config, variant)[1])
    paint = convolutions.decoder(shape)
    half = variant.precision == "bfloat16"
    work = _drawn(first, count, batch, half) + passes(paint, count, batch)
    scale = 0.5 if half else 1.0
    networks, cache, alive = 4.0 * first.parameters, scale * first.cache, 0.0
    if variant.stage2 is not None:
        second = models.stage2_size(config, variant.stage2)
        networks += 4.0 * second.parameters
        if _is_masked(config, variant.stage2):
            network = transformers.decoder(second, masked=True)
            work += passes(network, count * variant.masked.steps, batch, bfloat16=half)
            alive = network.alive + 3 * 4 * second.length * second.symbols
        else:
            work += _drawn(second, count, batch, half)
            cache = max(cache, scale * second.cache)  # both stages use the same memory
    pixels = 3.0 * shape.resolution**2
    return work + Cost(
        host=COPY * networks,
        gpu=networks
        + 4 * convolutions.parameters(shape)
        + batch * cache
        + max(batch * alive, min(batch, PAINTED) * paint.alive),
        # The images of the part, and again when they are put together.
        memory=RUNTIME["torch"] + 2 * count * pixels,
        kept=0.9 * count * pixels,
    )


def _is_masked(config: Config, name: str) -> bool:
    variant = config.stage2[name]
    return "masked" in (variant.kind, getattr(variant, "decoder", ""))


def _drawn(size: transformers.DecoderSize, count: float, batch: int, half: bool) -> Cost:
    """Draws with cached keys and values: each step reads all weights and half of a full cache."""
    batches = max(1.0, count / batch)
    read = (4.0 * size.parameters + min(batch, count) * size.cache / 2) * (0.5 if half else 1.0)
    return passes(transformers.decoding(size), count, batch, bfloat16=half) + Cost(
        moved=batches * size.length * read
    )


def evaluation(config: Config, task: Task) -> Cost:
    """An extractor over the samples and the reference, then the metrics on the CPU."""
    variant = config.evaluations[task.name]
    assert task.each is not None
    count, batch = config.samplings[task.each].count, config.execute(task.stage).batch
    network, width = _extractor(config, variant.extractor)
    real, read, side = 0, 0.0, 256
    if variant.views is not None:
        views, data = reading.viewed(config, variant.views)
        real, side = data.count(variant.split), views.crop
        read = reading.seconds(data, real, side)
    both = count + real
    statistics = CUBE * width**3
    if "prc" in variant.metrics:
        statistics += (count**2 + real**2 + count * real) * (NEIGHBOUR + CHANNEL * width)
    if "kid" in variant.metrics:
        subset = min(SUBSET, min(count, real) // 2)
        statistics += 3 * SUBSETS * subset**2 * (KERNEL + CHANNEL * width)
    return passes(network, both, batch) + Cost(
        host=read + statistics,
        gpu=1e8 + batch * network.alive,
        memory=RUNTIME["torch"] + _batch(batch, side) + 8.0 * 3 * both * width,
    )


def neighbours(config: Config, task: Task) -> Cost:
    """An extractor over samples, training and validation images, and all distances of the two."""
    variant = config.neighbours[task.name]
    assert task.each is not None
    views, data = reading.viewed(config, variant.views)
    network, width = _extractor(config, variant.extractor)
    samples = min(variant.samples, config.samplings[task.each].count)
    unseen, side = min(samples, data.validation), views.side("validation")
    batch, queries = config.execute(task.stage).batch, samples + unseen
    pairs = float(queries * data.train)
    return passes(network, queries + data.train, batch) + Cost(
        # In float64, which takes twice the time of float32.
        float32=2 * 2 * width * pairs,
        host=reading.seconds(data, data.train + unseen, side)
        + DIGESTED * data.train * 3 * side**2
        + (0 if config.execute(task.stage).gpus else SORTED * pairs),
        gpu=1e8 + batch * network.alive + 8.0 * queries * width,
        memory=RUNTIME["torch"] + _batch(batch, side) + 8.0 * 2 * queries * width,
        kept=2e6,
    )


def _extractor(config: Config, name: str) -> tuple[Pass, int]:
    """An extractor's pass and the channels of its features."""
    variant = config.extractors[name]
    if variant.kind == "inception":
        return convolutions.INCEPTION, convolutions.INCEPTION_WIDTH
    return convolutions.classifier(variant.width, variant.image_size), variant.width


def reconstruction(config: Config, task: Task) -> Cost:
    """Images there and back, and an extractor over both."""
    variant = config.reconstructions[task.name]
    views, data = reading.viewed(config, variant.views)
    shape = models.autoencoder_shape(config, variant.autoencoder)
    network, width = _extractor(config, variant.extractor)
    count, batch = data.count(variant.split), config.execute(task.stage).batch
    there_and_back = convolutions.encoder(shape) + convolutions.decoder(shape)
    read = reading.seconds(data, count, views.crop)
    return (
        passes(there_and_back, count, batch)
        + passes(network, 2 * count, batch)
        + Cost(
            host=read + CUBE * width**3,
            gpu=4 * convolutions.parameters(shape)
            + batch * max(there_and_back.alive, network.alive),
            memory=RUNTIME["torch"] + _batch(batch, views.crop) + 8.0 * 3 * 2 * count * width,
        )
    )


def stability(config: Config, task: Task) -> Cost:
    """All tokenizers over some images, once as they are and once for each level and seed."""
    variant = config.stabilities[task.name]
    views, data = reading.viewed(config, variant.views)
    count = min(variant.images, data.validation)
    noisy = count * len(variant.levels) * len(variant.seeds)
    batch = config.execute(task.stage).batch
    crop = views.side("validation")
    names = [("codebooks", name) for name in variant.codebooks]
    names += [("autoencoders", name) for name in variant.autoencoders]
    work, gpu = Cost(), 0.0
    for section, name in names:
        made = models.tokenizer(config, section, name, crop)
        work += passes(made.forward, count + noisy, batch, bfloat16=made.bfloat16)
        gpu = max(gpu, 4 * made.parameters + batch * made.forward.alive)
    numbers = 3.0 * crop**2
    return work + Cost(
        host=reading.seconds(data, count, crop) + NOISE * noisy * numbers,
        gpu=gpu + 4 * 3 * batch * numbers,
        memory=RUNTIME["torch"] + 5 * count * numbers + 12 * batch * numbers,
    )
