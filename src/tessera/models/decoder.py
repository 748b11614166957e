"""The transformer that the autoregressive and the masked model share.

The decoder of DiGIT (arXiv:2410.12490), which is fairseq's: embeddings scaled by sqrt(width),
learned positions, post-norm blocks without or pre-norm blocks with a final layer norm, an output
layer of its own. A sequence is [prefix][start, codes]; prefix and codes have a position table each.
Unlike fairseq's, q, k and v are one fused layer.

Shapes: B batch, P prefix length (0 without one), L codes, T positions after the prefix, D width.
"""

import math
from collections.abc import Iterator
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from tessera.errors import UserError
from tessera.models.decoder_config import NUM_SPECIALS, PAD, START, DecoderConfig
from tessera.nn.block import Block
from tessera.nn.cache import KVCache
from tessera.nn.dropout import Dropout
from tessera.nn.projection_loss import projected_cross_entropy

Config = TypeVar("Config", bound=DecoderConfig)

# fairseq counts positions from the padding index + 1; rows 0 and 1 are kept so that published
# weights load and parameter counts agree.
_FIRST_POSITION = PAD + 1


class Decoder(nn.Module, Generic[Config]):
    """Embeddings, blocks and output layer; what is fed and predicted is up to the subclass.

    Args:
        config: Sizes.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        c, rows = config, _FIRST_POSITION + config.max_positions
        self.scale = math.sqrt(c.width)
        self.tokens = nn.Embedding(c.rows, c.width)
        self.positions = nn.Embedding(rows, c.width)
        if c.prefix_length:
            self.prefix_positions = nn.Embedding(rows, c.width)
        self.dropout = Dropout(c.dropout)
        self.layers = nn.ModuleList(
            Block(c.width, c.heads, c.ffn, c.dropout, c.norm) for _ in range(c.layers)
        )
        self.norm = nn.LayerNorm(c.width) if c.norm == "pre" else nn.Identity()
        self.output = nn.Linear(c.width, c.symbols, bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw tables and output layer from N(0, 1/width); padding rows are zero.

        The position tables are then enlarged by `position_scale`.
        """
        for module in self.children():
            if isinstance(module, nn.Embedding | nn.Linear):
                nn.init.normal_(module.weight, std=self.config.width**-0.5)
            if isinstance(module, nn.Embedding):
                nn.init.zeros_(module.weight.detach()[PAD])
        for name, parameter in self.named_parameters():
            if name in ("positions.weight", "prefix_positions.weight"):
                parameter.detach().mul_(self.config.position_scale)

    def check(self, batch: int, labels: Tensor | None, prefix: Tensor | None) -> None:
        """Raise UserError unless labels and prefix are there exactly where the model has them."""
        c = self.config
        for name, given, wanted, shape in (
            ("class labels", labels, c.classes, (batch,)),
            ("a prefix", prefix, c.prefix_length, (batch, c.prefix_length)),
        ):
            if wanted and given is None:
                raise UserError(f"This model was built with {name}, and got none; pass them.")
            if given is None:
                continue
            if not wanted:
                raise UserError(f"This model was built without {name}; do not pass any.")
            if tuple(given.shape) != shape:
                raise UserError(
                    f"The shape of {name} is {tuple(given.shape)}; this batch needs {shape}."
                )

    def check_codes(self, codes: Tensor) -> None:
        """Raise UserError unless the codes are [B, L]."""
        if codes.dim() != 2 or codes.shape[1] != self.config.length:
            raise UserError(
                f"The codes have the shape {tuple(codes.shape)}, but this model has "
                f"{self.config.length} codes an image; pass [batch, {self.config.length}]."
            )

    def start(self, batch: int, labels: Tensor | None) -> Tensor:
        """Ids [B, 1] that stand before the codes: the class of each image, or the start symbol."""
        if labels is not None:
            return labels[:, None] + self.config.class_offset
        return torch.full((batch, 1), START, device=self.tokens.weight.device)

    def embed(self, ids: Tensor, prefix: Tensor | None = None, first: int = 0) -> Tensor:
        """Embed ids [B, T] at positions first.. and, before them, prefix codes [B, P].

        Returns:
            [B, P + T, D], after dropout.
        """
        at = _FIRST_POSITION + first
        x = self.scale * self.tokens(ids) + self.positions.weight[at : at + ids.shape[1]]
        if prefix is not None:
            table = self.prefix_positions.weight
            at, to = _FIRST_POSITION, _FIRST_POSITION + prefix.shape[1]
            y = self.scale * self.tokens(prefix + self.config.prefix_offset) + table[at:to]
            x = torch.cat((y, x), dim=1)
        return self.dropout(x)

    def transform(
        self, x: Tensor, *, causal: bool, cache: KVCache | None = None, slot: int = 0
    ) -> Tensor:
        """Run all blocks on [B, T, D]; the final norm, if any, is left to :meth:`project`."""
        for index, layer in enumerate(self.layers):
            entry = None if cache is None else cache.layers[index]
            x = layer(x, causal=causal, cache=entry, slot=slot)
        return x

    def states(self, x: Tensor, *, causal: bool) -> Iterator[Tensor]:
        """Yield the residual stream [B, T, D] before the first and after each block."""
        yield x
        for layer in self.layers:
            x = layer(x, causal=causal)
            yield x

    def project(self, x: Tensor) -> Tensor:
        """Logits [..., K + 5] of the residual stream [..., D] after the last block."""
        return self.output(self.norm(x))

    def cross_entropy(
        self, x: Tensor, targets: Tensor, label_smoothing: float, selected: Tensor | None = None
    ) -> Tensor:
        """`symbol_cross_entropy` of :meth:`project`'s logits, which never exist whole.

        Args:
            x: [B, T, D], the residual stream after the last block.
            targets: Long [B, T], symbols.
            label_smoothing: In [0, 1].
            selected: Bool [B, T], the positions that count; all if absent.
        """
        return projected_cross_entropy(
            self.norm(x), self.output.weight, targets, label_smoothing, selected
        )

    @staticmethod
    def ids(codes: Tensor) -> Tensor:
        """Ids of codes."""
        return codes + NUM_SPECIALS
