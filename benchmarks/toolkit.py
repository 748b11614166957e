"""The original's way of sampling, for comparison on the same machine.

A general translation toolkit decodes with caches that grow by concatenation and are put in order
at every step, separate products for query, key and value, and several passes over the vocabulary.
This is what fairseq's sequence generator does with DiGIT's model (arXiv:2410.12490), at a beam of
one, without its bookkeeping of finished sentences.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from tessera.models.decoder_config import END, NUM_SPECIALS, PAD
from tessera.models.gpt import GPT
from tessera.nn.block import Block


class Toolkit:
    """Samples from a post-norm model without classes and without a prefix."""

    def __init__(self, model: GPT) -> None:
        self.model, self.heads = model, model.config.heads
        self.layers: list[tuple[Block, Sequence[Tensor], Sequence[Tensor]]] = []
        for layer in model.layers:
            assert isinstance(layer, Block)
            qkv = layer.attention.qkv
            self.layers.append((layer, qkv.weight.chunk(3), qkv.bias.chunk(3)))

    @torch.no_grad()
    def __call__(self, batch: int, top_k: int) -> Tensor:
        """Codes, long [batch, L], from torch's own random numbers."""
        c = self.model.config
        device = self.model.output.weight.device
        tokens = torch.full((batch, c.length + 1), PAD, device=device)
        tokens[:, 0] = END
        scores = torch.zeros(batch, c.length + 1, device=device)
        caches: list[tuple[Tensor, Tensor] | None] = [None] * c.layers
        order = torch.arange(batch, device=device)
        for step in range(c.length):
            logits = self._forward(tokens[:, step : step + 1], step, caches)
            log_probs = logits.float().log_softmax(-1)
            log_probs[log_probs != log_probs] = -math.inf
            log_probs[:, :NUM_SPECIALS] = -math.inf
            values, ids = log_probs.topk(top_k)
            probs = values.exp()
            drawn = torch.multinomial(probs, 1, replacement=True)
            scores[:, step + 1] = scores[:, step] + probs.gather(1, drawn)[:, 0].log()
            tokens[:, step + 1] = ids.gather(1, drawn)[:, 0]
            if bool((tokens[:, step + 1] == END).any()):  # never: it was removed
                break
            tokens[:, : step + 2] = tokens[:, : step + 2].index_select(0, order)
            scores[:, : step + 2] = scores[:, : step + 2].index_select(0, order)
            for index, cache in enumerate(caches):
                assert cache is not None
                caches[index] = (cache[0].index_select(0, order), cache[1].index_select(0, order))
        return tokens[:, 1:] - NUM_SPECIALS

    def _forward(
        self, ids: Tensor, step: int, caches: list[tuple[Tensor, Tensor] | None]
    ) -> Tensor:
        x = self.model.embed(ids, first=step)
        batch, width = x.shape[0], x.shape[-1]
        head = width // self.heads
        for index, (layer, weights, biases) in enumerate(self.layers):
            q, k, v = (
                F.linear(x, weight, bias).view(batch, 1, self.heads, head).transpose(1, 2)
                for weight, bias in zip(weights, biases, strict=True)
            )
            old = caches[index]
            if old is not None:
                k, v = torch.cat((old[0], k), dim=2), torch.cat((old[1], v), dim=2)
            caches[index] = (k, v)
            flat = (batch * self.heads, -1, head)
            scores = torch.bmm((q * head**-0.5).reshape(flat), k.reshape(flat).transpose(1, 2))
            y = torch.bmm(scores.softmax(-1, dtype=torch.float32).type_as(scores), v.reshape(flat))
            y = y.view(batch, self.heads, 1, head).transpose(1, 2).reshape(batch, 1, width)
            x = layer.attention_norm(x + layer.attention.out(y))
            x = layer.feed_forward_norm(x + layer.feed_forward(x))
        return F.linear(x[:, -1], self.model.output.weight)
