"""Sizes of the transformer decoders over image tokens."""

import math
from dataclasses import dataclass, fields
from typing import TypedDict, get_args

from tessera.errors import UserError
from tessera.nn.block import Norm

NUM_SPECIALS = 5  # symbols before the codes: code i has id NUM_SPECIALS + i
START, MASK = 2, 3  # </s>, which also ends a sequence, and <unk>, which stands for a hidden code
END = START
PAD = 1  # never fed; its rows in the tables are zero


class Size(TypedDict):
    """What the published model sizes differ in."""

    width: int
    layers: int
    heads: int
    ffn: int


# DiGIT (arXiv:2410.12490), base 219 M and large 732 M parameters in stage 1. The heads of "large"
# are not published; they do not change the parameter count.
SIZES: dict[str, Size] = {
    "base": {"width": 1024, "layers": 16, "heads": 16, "ffn": 4096},
    "large": {"width": 1536, "layers": 24, "heads": 16, "ffn": 6144},
}


@dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """Sizes of a decoder over the codes of an image.

    Attributes:
        vocabulary: Codes K that are modelled; the output has K + 5 symbols.
        length: Codes of one image.
        classes: Class labels that can replace the start symbol; 0 for an unconditional model.
        prefix_vocabulary: Codes of the prefix (the semantic codebook); 0 for no prefix.
        prefix_length: Codes in the prefix of one image.
        width: Width of the residual stream.
        layers: Transformer blocks.
        heads: Attention heads a block.
        ffn: Hidden width of the feed-forward network.
        dropout: Rate on the embedding and on the output of each branch, in [0, 1).
        norm: Layer norm before each branch and at the end ("pre"), or after each sum ("post").
        max_positions: Positions that each position table has, at least ``length + 1``.
        position_scale: Initial spread of the position tables, in units of width**-0.5. The
            original's 1 makes positions sqrt(width) times fainter than codes; a training of a few
            hundred updates then hardly learns which semantic code belongs to which VQGAN code.

    Raises:
        UserError: If the sizes do not fit together.
    """

    vocabulary: int
    length: int
    classes: int = 0
    prefix_vocabulary: int = 0
    prefix_length: int = 0
    width: int
    layers: int
    heads: int
    ffn: int
    dropout: float = 0.1
    norm: Norm
    max_positions: int
    position_scale: float = 1.0

    def __post_init__(self) -> None:
        optional = ("classes", "prefix_vocabulary", "prefix_length")
        for field in fields(self):
            value, least = getattr(self, field.name), 0 if field.name in optional else 1
            if field.name in ("dropout", "norm", "position_scale"):
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise UserError(
                    f"The decoder's {field.name} is {value!r}; "
                    f"give a whole number of at least {least}."
                )
        if not 0 <= self.dropout < 1:
            raise UserError(
                f"The decoder's dropout is {self.dropout!r}; give a rate from 0 to below 1."
            )
        if not 0 < self.position_scale < math.inf:
            raise UserError(
                f"The decoder's position_scale is {self.position_scale!r}; give a positive number."
            )
        if self.norm not in get_args(Norm):
            raise UserError(f'The decoder\'s norm is {self.norm!r}; give "pre" or "post".')
        if self.width % self.heads:
            raise UserError(
                f"The decoder's width {self.width} is not a multiple of its {self.heads} heads; "
                "change one of them."
            )
        if (self.prefix_vocabulary == 0) != (self.prefix_length == 0):
            raise UserError(
                f"The decoder's prefix_vocabulary is {self.prefix_vocabulary} and its "
                f"prefix_length {self.prefix_length}; give both, or 0 for both."
            )
        needed = max(self.length + 1, self.prefix_length)
        if self.max_positions < needed:
            raise UserError(
                f"The decoder's max_positions is {self.max_positions}, but its sequences take "
                f"{needed} positions (one more than the codes); raise max_positions."
            )

    @property
    def symbols(self) -> int:
        """Symbols at the output: the codes and the special ones."""
        return self.vocabulary + NUM_SPECIALS

    @property
    def prefix_offset(self) -> int:
        """Row of prefix code 0: after the symbols and the prefix's own, unused, special ones."""
        return self.symbols + NUM_SPECIALS

    @property
    def class_offset(self) -> int:
        """Row of class 0: after everything else."""
        if self.prefix_vocabulary == 0:
            return self.symbols
        return self.prefix_offset + self.prefix_vocabulary

    @property
    def rows(self) -> int:
        """Rows of the embedding table."""
        return self.class_offset + self.classes
