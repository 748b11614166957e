"""Passes through transformers: the decoders over tokens, and vision transformers.

With T tokens, width D and hidden width F, a block takes 2 T (4 D^2 + 2 D F) operations for its
matrices and 4 T^2 D for attention (Kaplan et al., arXiv:2001.08361, section 2.1, without their
neglect of the second term). Causal attention counts as full: half of it is masked, not left out.
"""

from dataclasses import dataclass
from itertools import pairwise

from tessera.config.networks import ViTShape
from tessera.plan.passes import Pass

SPECIALS = 5
"""Symbols beside the codes (`tessera.models.decoder_config.NUM_SPECIALS`)."""
SAVED, SAVED_HALF = 75.0, 41.0
"""Bytes kept for the gradient a token, channel and block, at F = 4 D: counted by hooks on saved
tensors, float32 and under bfloat16 autocast."""
LOGIT = 16.0
"""Bytes a logit in training: as the output layer gives it, in float32, its logarithm, its
gradient."""
BLOCK_KERNELS = 15
"""Calls into the device a block."""
DRAW_KERNELS, DRAW_VALUES = 20, 6
"""Calls of a draw and values a logit of it: filters sort the logits and sum them up."""


@dataclass(frozen=True)
class DecoderSize:
    """Sizes of a decoder over the codes of an image: what of its config costs anything.

    Attributes:
        vocabulary: codes that are modelled.
        length: codes of an image.
        classes: classes that can stand before the codes; 0 for none.
        prefix_vocabulary: codes of the prefix; 0 for none.
        prefix_length: codes in the prefix.
        width: width of the residual stream.
        layers: blocks.
        ffn: hidden width of the feed-forward network.
        max_positions: rows of a position table.
        norm: "pre" or "post".
    """

    vocabulary: int
    length: int
    width: int
    layers: int
    ffn: int
    max_positions: int
    norm: str = "pre"
    classes: int = 0
    prefix_vocabulary: int = 0
    prefix_length: int = 0

    @property
    def tokens(self) -> int:
        """Positions of a sequence: prefix, start symbol, codes."""
        return self.prefix_length + 1 + self.length

    @property
    def symbols(self) -> int:
        """Symbols at the output."""
        return self.vocabulary + SPECIALS

    @property
    def parameters(self) -> int:
        """Numbers that are trained."""
        D, F = self.width, self.ffn
        block = 4 * D * D + 4 * D + 2 * D * F + F + D + 4 * D  # matrices, biases, two norms
        rows = self.symbols + self.classes
        if self.prefix_length:
            rows += SPECIALS + self.prefix_vocabulary
        tables = 2 if self.prefix_length else 1
        positions = tables * (2 + self.max_positions)  # two rows for fairseq's padding
        norm = 2 * D if self.norm == "pre" else 0
        return self.layers * block + (rows + positions + self.symbols) * D + norm

    @property
    def cache(self) -> float:
        """Bytes of the keys and values of an image, float32."""
        return 4.0 * 2 * self.layers * (self.prefix_length + self.length) * self.width


def blocks(tokens: int, width: int, hidden: int, layers: int) -> Pass:
    """A stack of transformer blocks."""
    matrices = 2 * tokens * (4 * width**2 + 2 * width * hidden)
    channels = float(tokens * width * layers)
    wide = hidden / width
    return Pass(
        operations=float(layers * (matrices + 4 * tokens**2 * width)),
        # q, k, v, attention, its output, two sums and norms; the hidden layer before and after.
        values=channels * (8 + 2 * wide),
        kernels=float(BLOCK_KERNELS * layers),
        saved=channels * SAVED * (8 + 2 * wide) / 16,
        saved_half=channels * SAVED_HALF * (8 + 2 * wide) / 16,
        alive=4.0 * tokens * (4 * width + 2 * hidden),
    )


def decoder(size: DecoderSize, masked: bool = False) -> Pass:
    """A decoder over an image whose codes are all given, as in training and for probes.

    Args:
        size: its sizes.
        masked: MaskGIT, which predicts the codes alone and not what follows the last one.
    """
    predicted = size.length if masked else size.length + 1
    return blocks(size.tokens, size.width, size.ffn, size.layers) + _output(size, predicted)


def decoding(size: DecoderSize) -> Pass:
    """Drawing all codes of an image one after the other, with cached keys and values.

    The matrices do the work of one pass over all tokens but the last; attention sees the positions
    before each one, which is half of it.
    """
    fed, before = size.prefix_length + size.length, size.prefix_length + 1
    seen = before**2 + sum(range(before + 1, fed + 1))
    full = blocks(fed, size.width, size.ffn, size.layers)
    attention = 4 * size.layers * size.width * (seen - fed**2)
    step = _output(size, 1)
    return Pass(
        operations=full.operations + attention + size.length * step.operations,
        values=full.values + size.length * DRAW_VALUES * size.symbols,
        kernels=size.length * (full.kernels + DRAW_KERNELS),
        alive=max(full.alive * before / fed, DRAW_VALUES * step.alive),
    )


def _output(size: DecoderSize, predicted: int) -> Pass:
    logits = float(predicted * size.symbols)
    return Pass(
        operations=2 * logits * size.width,
        values=4 * logits,
        kernels=4.0,
        saved=LOGIT * logits,
        saved_half=LOGIT * logits,
        alive=4 * logits,
    )


def vision(shape: ViTShape, side: int, layer: int = 1) -> Pass:
    """A vision transformer on a square image, up to one block.

    Args:
        shape: its sizes.
        side: side of the image, pixels.
        layer: 1 is the last block, 2 the one before it.
    """
    patches = (side // shape.patch_size) ** 2
    pixels = 3 * shape.patch_size**2
    embedding = Pass(
        operations=2.0 * patches * pixels * shape.width,
        values=float(2 * patches * shape.width + 2 * 3 * side**2),
        kernels=8.0,
        saved=4.0 * 3 * side**2,
        saved_half=4.0 * 3 * side**2,
        alive=4.0 * 3 * 3 * side**2,
    )
    tokens, hidden = 1 + shape.registers + patches, int(shape.width * shape.mlp_ratio)
    used = max(1, shape.depth - layer + 1)
    return embedding + blocks(tokens, shape.width, hidden, used)


def vision_parameters(shape: ViTShape) -> int:
    """Weights of a vision transformer, all its blocks."""
    D, hidden = shape.width, int(shape.width * shape.mlp_ratio)
    scales = 0 if shape.layer_scale is None else 2 * D
    block = 4 * D * D + 4 * D + 2 * D * hidden + hidden + D + 4 * D + scales
    patches = (shape.image_size // shape.patch_size) ** 2
    tokens = 1 + (1 + patches) + shape.registers + 1  # class, positions, registers, mask
    return shape.depth * block + tokens * D + 3 * shape.patch_size**2 * D + D + 2 * D


def mlp(tokens: int, widths: tuple[int, ...]) -> Pass:
    """Linear layers one after the other, on each of some tokens."""
    pairs = list(pairwise(widths))
    made = float(tokens * sum(widths[1:]))
    return Pass(
        operations=2.0 * tokens * sum(a * b for a, b in pairs),
        values=2 * made,
        kernels=3.0 * len(pairs),
        saved=8 * made,
        saved_half=6 * made,
        alive=8.0 * tokens * max(widths),
    )
