"""What the stages cost that train and pass no network: images, K-Means, exports, reports."""

from tessera.config import lineage
from tessera.config.data import FolderData, ParquetData, WebDatasetData
from tessera.config.schema import Config
from tessera.config.tokenizers import FittedCodebook
from tessera.plan import convolutions, models, reading, transformers
from tessera.plan.cost import COPY, RUNTIME, Cost, Task
from tessera.plan.images import images
from tessera.plan.transformers import DecoderSize
from tessera.quantize.sizes import gpu_memory, host_memory

LISTED, PACKED = 20e-6, 1.5e-3
"""Seconds of one thread to list an image and to pack one."""
COUNTED = 3e-9
"""Seconds a token that is counted."""
DRAWN, PAINTED = 12e-9, 100e-9
"""Seconds of one thread for a normal number, and for a byte of a picture that is compressed."""
LEAST_SIDE = 96
"""Pixels of the smallest tile of `tessera.report.pictures.patches`."""


def shards(config: Config, task: Task) -> Cost:
    """Files are listed or scanned where they lie, or packed into tars."""
    data, settings = images(config, task.name), config.data[task.name]
    count = data.train + data.validation
    in_place = isinstance(settings, FolderData) and settings.in_place
    if in_place:
        return Cost(host=LISTED * count, memory=RUNTIME["light"] + 1000 * count, kept=100 * count)
    if isinstance(settings, WebDatasetData | ParquetData):
        # Files are read to their ends, pixels are not decoded.
        work = COPY * data.bytes * count
        return Cost(host=work, memory=RUNTIME["light"] + 1000 * count, kept=1e5)
    work = PACKED * count + reading.DECODE * data.pixels * count
    # Tars fill up to blocks of 512 bytes, a head and a body for image and class.
    return Cost(host=work, memory=2 * RUNTIME["light"], kept=count * (data.bytes + 2048))


def published(config: Config, task: Task) -> Cost:
    """Files are copied; their digests are taken."""
    size = 4.0 * _weights(config, task)
    timm = getattr(getattr(config, task.section)[task.name], "kind", "") == "timm"
    memory = RUNTIME["torch"] + 2 * size if timm else RUNTIME["light"]
    return Cost(host=COPY * size, memory=memory, kept=size)


def _weights(config: Config, task: Task) -> float:
    """Weights of a variant that is adopted."""
    section, name = task.section, task.name
    if section == "encoders":
        return transformers.vision_parameters(models.encoder_shape(name, config.encoders[name]))
    if section == "autoencoders":
        return convolutions.parameters(models.autoencoder_shape(config, name))
    if section == "codebooks":
        made = models.tokenizer(config, section, name, 256)
        return float(made.vocabulary * models.codebook_width(config, name))
    sizes = {"stage1": models.stage1_size, "stage2": models.stage2_size}
    size: DecoderSize = sizes[section](config, name)
    return float(size.parameters)


def codebook(config: Config, task: Task) -> Cost:
    """K-Means: products of all points with all centroids, each iteration and once more.

    On a GPU of the same arithmetic in TF32, whose rate no device here is listed with: counted as
    float32. The points stay there, where the stage finds room for them.
    """
    variant = config.codebooks[task.name]
    assert isinstance(variant, FittedCodebook)
    read = config.features[variant.features]
    views, data = reading.viewed(config, read.views)
    length = models.featurizer(config, read, views.crop).length
    width = models.width_of(config, read)
    sampled = min(read.points, data.train * views.count * length)
    points = min(sampled, variant.points or sampled)
    itemsize = 2 if read.dtype == "float16" else 4
    execution = config.execute(task.stage)
    on_gpu = execution.gpus > 0
    sizes = (points, width, variant.clusters, itemsize, execution.threads)
    gpu = gpu_memory(width, variant.clusters) + itemsize * points * width
    return Cost(
        float32=2.0 * points * variant.clusters * width * (variant.iterations + 1),
        gpu=float(gpu) if on_gpu else 0.0,
        memory=RUNTIME["torch"] + host_memory(*sizes, gpu=on_gpu),
        kept=4.0 * variant.clusters * width,
    )


def usage(config: Config, task: Task) -> Cost:
    """Tokens are counted class by class."""
    variant = config.tokens[task.name]
    views, data = reading.viewed(config, variant.views)
    section, name = ("codebooks", variant.codebook)
    if variant.codebook is None:
        section, name = "autoencoders", variant.autoencoder
    assert name is not None
    made = models.tokenizer(config, section, name, views.crop)
    table = 8.0 * data.classes * made.vocabulary
    threads = config.execute(task.stage).threads
    return Cost(
        host=COUNTED * data.train * views.count * made.length,
        memory=2 * RUNTIME["light"] + (2 + threads) * table,
        kept=table,
    )


def patches(config: Config, task: Task) -> Cost:
    """Tokens of some images are read, and the images that are shown."""
    variant = config.patches[task.name]
    tokens = config.tokens[variant.tokens]
    views, data = reading.viewed(config, tokens.views)
    side, copies = views.side(variant.split), reading.views_of(views, variant.split)
    made = models.tokenizer(config, *lineage.tokenizer_of_tokens(config, variant.tokens), side)
    looked = min(variant.images, data.count(variant.split))
    # Each code is looked for in all tokens, a byte a comparison.
    size = float(looked * copies * made.length)
    shown = min(looked, variant.clusters * variant.patches)
    window = side if variant.context is None else side / made.length**0.5 + 2 * variant.context
    picture = 3.0 * variant.clusters * variant.patches * max(window, LEAST_SIDE) ** 2
    resized = views.resized_crop and variant.split == "train"
    return Cost(
        host=reading.seconds(data, shown, side, copies, resized)
        + 2 * COUNTED * size * variant.clusters
        + PAINTED * picture,
        memory=2 * RUNTIME["light"] + 20 * size + 6.0 * shown * copies * side**2 + 3 * picture,
        kept=picture / 2,
    )


def projections(config: Config, task: Task) -> Cost:
    """Points are drawn, and compared with a threshold on two lines under each noise."""
    variant = config.projections[task.name]
    numbers = 2.0 * variant.samples * len(variant.variances)
    measured = 2.0 * variant.samples * len(variant.noise) * len(variant.seeds)
    return Cost(
        host=DRAWN * numbers * (1 + 2 * len(variant.seeds)) + COUNTED * 2 * measured,
        memory=RUNTIME["light"] + 16 * numbers * (2 + len(variant.seeds)),
        kept=16 * numbers,
    )


def samples(config: Config, task: Task) -> Cost:
    """Parts are joined into one file."""
    variant = config.samplings[task.name]
    side = models.painted_side(config, variant)
    size = 3.0 * variant.count * side**2
    parts = config.execute("sampling").parts
    return Cost(host=COPY * size, memory=RUNTIME["light"] + 2 * size / parts, kept=size)


def report(config: Config, task: Task) -> Cost:
    """Tables and figures are made of cards alone."""
    return Cost(memory=1.5 * RUNTIME["light"], kept=1e6)
