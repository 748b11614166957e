"""Autoregressive transformer over the codes of an image.

One model serves three parts of DiGIT (arXiv:2410.12490): stage 1 over semantic codes, with or
without a class; stage 2, which continues a prefix of semantic codes with VQGAN codes; and the
baseline over VQGAN codes alone. A sequence is [prefix][start or class, c1..cL]; the targets are
[c1..cL, end], and the prefix has none.

Shapes: B batch, P prefix length, L codes of an image, V = vocabulary + 5 symbols.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from tessera.errors import UserError
from tessera.models.decoder import Decoder
from tessera.models.decoder_config import END, NUM_SPECIALS, SIZES, DecoderConfig
from tessera.nn.cache import KVCache, new_cache

__all__ = ["GPT", "NUM_SPECIALS", "SIZES", "GPTConfig"]


@dataclass(frozen=True, kw_only=True)
class GPTConfig(DecoderConfig):
    """Sizes of a :class:`GPT`."""


class GPT(Decoder[GPTConfig]):
    """Causal decoder; see the module's description.

    Labels must be passed to a model with classes and a prefix to one with a prefix, and to no
    other: every method raises UserError otherwise, and for shapes that do not fit. Codes, labels
    and prefix are Long and lie on the model's device.
    """

    def forward(
        self,
        codes: Tensor,
        labels: Tensor | None = None,
        prefix: Tensor | None = None,
        label_smoothing: float = 0.0,
    ) -> Tensor:
        """:meth:`loss`, under the name that wrappers for several devices hook into."""
        return self.loss(codes, labels, prefix, label_smoothing)

    def logits(
        self, codes: Tensor, labels: Tensor | None = None, prefix: Tensor | None = None
    ) -> Tensor:
        """Teacher-forced logits [B, L + 1, V] of every code and, last, of the end symbol.

        Args:
            codes: [B, L], in 0..vocabulary-1.
            labels: [B], in 0..classes-1.
            prefix: [B, P], in 0..prefix_vocabulary-1.
        """
        return self.project(self._states(codes, labels, prefix))

    def loss(
        self,
        codes: Tensor,
        labels: Tensor | None = None,
        prefix: Tensor | None = None,
        label_smoothing: float = 0.0,
    ) -> Tensor:
        """Mean cross-entropy in nats over the L codes and the end symbol of every image."""
        targets = F.pad(self.ids(codes), (0, 1), value=END)
        x = self._states(codes, labels, prefix)
        return self.cross_entropy(x, targets, label_smoothing)

    def hidden_states(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """Features [layers + 1, B, width] for a linear probe.

        Entry 0 is the embedding, entry n the output of block n (before the final norm of a
        pre-norm model), each the mean over all L + 1 positions, the start symbol included.
        """
        x = self._embed_all(codes, labels, None)
        return torch.stack([state.mean(dim=1) for state in self.states(x, causal=True)])

    def new_cache(
        self,
        batch: int,
        dtype: torch.dtype,
        device: torch.device,
        memory: Tensor | None = None,
    ) -> KVCache:
        """Buffers for :meth:`prefill` and :meth:`decode` of ``batch`` images.

        ``memory``, where it is given, has at least :meth:`cache_size` numbers.
        """
        c = self.config
        capacity = c.prefix_length + c.length  # the last code is never fed
        return new_cache(
            c.layers, batch, c.heads, capacity, c.width // c.heads,
            dtype=dtype, device=device, memory=memory,
        )  # fmt: skip

    def cache_size(self, batch: int) -> int:
        """Numbers that the keys and values of ``batch`` images are."""
        c = self.config
        return 2 * c.layers * batch * (c.prefix_length + c.length) * c.width

    @torch.no_grad()
    def prefill(
        self, cache: KVCache, labels: Tensor | None = None, prefix: Tensor | None = None
    ) -> Tensor:
        """Feed what stands before the codes, and return the logits [B, V] of the first code.

        Args:
            cache: Buffers for B images; overwritten.
            labels: [B].
            prefix: [B, P].
        """
        self.check(cache.batch, labels, prefix)
        x = self.embed(self.start(cache.batch, labels), prefix)
        return self.project(self.transform(x, causal=True, cache=cache)[:, -1])

    @torch.no_grad()
    def decode(self, codes: Tensor, position: int, cache: KVCache) -> Tensor:
        """Feed one code an image, and return the logits [B, V] of the next.

        Args:
            codes: [B], the codes at ``position``.
            position: Index of these codes in the image, 0..L-2; those before it have been fed.
            cache: Buffers that :meth:`prefill` and the steps before this one have filled.
        """
        slot = self.config.prefix_length + 1 + position
        x = self.embed(self.ids(codes)[:, None], first=position + 1)
        return self.project(self.transform(x, causal=True, cache=cache, slot=slot)[:, 0])

    def _states(self, codes: Tensor, labels: Tensor | None, prefix: Tensor | None) -> Tensor:
        """The residual stream [B, L + 1, D] after the last block, without the prefix."""
        x = self.transform(self._embed_all(codes, labels, prefix), causal=True)
        return x[:, self.config.prefix_length :]

    def _embed_all(self, codes: Tensor, labels: Tensor | None, prefix: Tensor | None) -> Tensor:
        self.check_codes(codes)
        if codes.shape[0] == 0:
            raise UserError("The batch of codes is empty; pass at least one image.")
        self.check(codes.shape[0], labels, prefix)
        ids = torch.cat((self.start(codes.shape[0], labels), self.ids(codes)), dim=1)
        return self.embed(ids, prefix)
