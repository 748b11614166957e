"""Passes through convolutional networks: VQGAN, its discriminator, the classifier, Inception."""

from itertools import pairwise

from tessera.config.networks import DiscriminatorShape, VQGANShape
from tessera.plan.passes import Pass, total

INCEPTION = Pass(
    operations=2 * 5.7e9,
    values=3 * 9.0e6,
    kernels=94 * 3,
    alive=6 * 4 * 64 * 147**2,
)
"""Inception-v3 on 299x299: 5.7 billion multiply-adds (Szegedy et al., arXiv:1512.00567, section 7,
and torchvision's table), 94 convolutions that make 9.0 million values, 64 x 147 x 147 at most."""
INCEPTION_WIDTH = 2048


def convolution(before: int, after: int, kernel: int, side: int) -> Pass:
    """A convolution with its norm and activation, on a square map.

    Args:
        before: channels read.
        after: channels made.
        kernel: side of the kernel.
        side: side of the map that is made.
    """
    made = float(after * side**2)
    return Pass(
        operations=2 * made * before * kernel**2,
        values=3 * made,
        kernels=3.0,
        # What the norm, the activation and the convolution read, each once.
        saved=12 * made,
        saved_half=8 * made,
        alive=6 * 4 * made,
    )


def _residual(before: int, after: int, side: int) -> list[Pass]:
    block = [convolution(before, after, 3, side), convolution(after, after, 3, side)]
    return block if before == after else [*block, convolution(after, after, 1, side)]


def widths(shape: VQGANShape) -> list[int]:
    """Channels of each level, from the pixels inwards."""
    return [shape.channels * multiplier for multiplier in shape.multipliers]


def grid(shape: VQGANShape) -> int:
    """Codes along a side of an image."""
    return shape.resolution // 2 ** (len(shape.multipliers) - 1)


def encoder(shape: VQGANShape) -> Pass:
    """A VQGAN from pixels to codes."""
    levels, side = widths(shape), shape.resolution
    layers = [convolution(3, shape.channels, 3, side)]
    for level, width in enumerate(levels):
        side = shape.resolution // 2**level
        for block in range(shape.residual_blocks):
            before = levels[max(0, level - 1)] if block == 0 else width
            before = shape.channels if level == block == 0 else before
            layers += _residual(before, width, side)
    layers += 2 * _residual(levels[-1], levels[-1], side)
    layers.append(convolution(levels[-1], shape.code_width, 1, side))
    # Distances to all codes.
    layers.append(convolution(shape.code_width, shape.codes, 1, side))
    return total(layers)


def decoder(shape: VQGANShape) -> Pass:
    """A VQGAN from codes to pixels."""
    levels, side = widths(shape), grid(shape)
    layers = [convolution(shape.code_width, levels[-1], 3, side)]
    layers += 2 * _residual(levels[-1], levels[-1], side)
    for level in reversed(range(len(levels))):
        width = levels[level]
        before = levels[min(level + 1, len(levels) - 1)]
        for block in range(shape.residual_blocks):
            layers += _residual(before if block == 0 else width, width, side)
        if level:
            side *= 2
            layers.append(convolution(width, width, 3, side))
    layers.append(convolution(levels[0], 3, 3, side))
    return total(layers)


def parameters(shape: VQGANShape) -> float:
    """Weights of a VQGAN, nearly: kernels without biases and norms."""
    levels = widths(shape)

    def residual(before: int, after: int) -> int:
        return 9 * after * (before + after) + (after * after if before != after else 0)

    count = 27 * shape.channels + 4 * residual(levels[-1], levels[-1]) + 27 * levels[0]
    before = shape.channels
    for width in levels:
        count += residual(before, width) + (shape.residual_blocks - 1) * residual(width, width)
        before = width
    for level, width in enumerate(levels):
        below = levels[min(level + 1, len(levels) - 1)]
        count += residual(below, width) + (shape.residual_blocks - 1) * residual(width, width)
        count += 9 * width * width if level else 0
    return count + shape.code_width * (10 * levels[-1] + shape.codes)


def discriminator(shape: DiscriminatorShape, side: int) -> Pass:
    """A patch discriminator on a square image."""
    channels = [shape.channels * min(2**i, 8) for i in range(shape.layers + 1)]
    side //= 2
    layers = [convolution(3, channels[0], 4, side)]
    for i in range(1, len(channels)):
        side = side // 2 if i < shape.layers else side - 1
        layers.append(convolution(channels[i - 1], channels[i], 4, side))
    return total([*layers, convolution(channels[-1], 1, 4, side - 1)])


def classifier(width: int, side: int) -> Pass:
    """The small classifier; its last linear layer is not counted."""
    channels = [3, width // 4, width // 2, width, width]
    layers = []
    for before, after in pairwise(channels):
        side = (side + 1) // 2
        layers.append(convolution(before, after, 3, side))
    return total(layers)
