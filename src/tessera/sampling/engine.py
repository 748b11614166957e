"""Codes one after the other, for batch after batch of one size: what generates sample sets.

It draws what `sample_autoregressive` draws, up to rounding, with weights that are laid out once, a
cache that is allocated once, and steps that a GPU replays.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from tessera.models.gpt import GPT
from tessera.nn.transfer import sent
from tessera.sampling.checks import check_engine_inputs
from tessera.sampling.filters import check_filters, pick
from tessera.sampling.prepared import prepared
from tessera.sampling.replay import record

Precision = Literal["float32", "bfloat16"]
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}

PREFILL_TOKENS = {"cpu": 2**11, "cuda": 2**13}
"""Tokens of prefixes that are fed at once: enough for the full matrix rate, in little memory. Two
cores took 5.4 s for 64 prefixes at 2**11, 6.2 s and more at 2**13."""


class Engine:
    """Samples batches of codes from an autoregressive model whose weights do not change any more.

    The first batch runs step by step. From the second on, on a GPU, the steps are replayed.

    Args:
        model: In eval mode.
        batch: Most images of a batch. Smaller batches are filled up, and so cost as much.
        temperature: Divides the logits; 0 takes the most probable code.
        top_k: Keep only the k most probable codes.
        top_p: Keep only the most probable codes up to this mass, in (0, 1]; wins over ``top_k``.
        precision: Of weights, cache and products. Logits and draws have float32 in any case.
        memory: Where the cache is to lie, see `new_cache`; of use to nobody else during a call.

    Raises:
        UserError: If a setting has no meaning.
    """

    def __init__(
        self,
        model: GPT,
        batch: int,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        precision: Precision = "float32",
        memory: Tensor | None = None,
    ) -> None:
        check_filters(temperature, top_k, top_p)
        self.how = (temperature, top_k, top_p)
        self.batch, self.dtype, self.device = batch, DTYPES[precision], model.output.weight.device
        length = model.config.length
        with torch.inference_mode():
            self.model = prepared(model, batch, self.dtype)
            self.cache = model.new_cache(batch, self.dtype, self.device, memory)
            # A row a step, so that each reads and writes one piece of memory.
            self.uniforms = torch.empty(length, batch, dtype=torch.float64, device=self.device)
            self.codes = torch.empty(length, batch, dtype=torch.long, device=self.device)
        self.batches = 0
        self.replay: Callable[[], None] | None = None

    def __call__(
        self, uniforms: Tensor, labels: Tensor | None = None, prefix: Tensor | None = None
    ) -> Tensor:
        """Sample the codes of up to ``batch`` images.

        Nothing here waits for a GPU.

        Args:
            uniforms: [n, L], in (0, 1), one for each code.
            labels: Long [n], for a class-conditional model.
            prefix: Long [n, P], for a model with a prefix.

        Returns:
            Long [n, L] on the model's device, in 0..vocabulary-1.

        Raises:
            UserError: If a shape does not fit the model.
            ValueError: If there are more images than ``batch``.
        """
        check_engine_inputs(self.model, uniforms, (self.model.config.length,))
        count = uniforms.shape[0]
        self.model.check(count, labels, prefix)
        if count > self.batch:
            raise ValueError(f"{count} images are more than the {self.batch} of this engine")
        with torch.inference_mode():
            self.uniforms.copy_(sent(self._filled(uniforms).T, self.uniforms.device))
            labels = None if labels is None else self._filled(labels)
            prefix = None if prefix is None else self._filled(prefix)
            self._prefill(labels, prefix)
            self._decode()
            codes = self.codes[:, :count].T
        return codes.clone(memory_format=torch.contiguous_format)

    def _filled(self, given: Tensor) -> Tensor:
        """Rows of zeros after those that are given, up to a whole batch."""
        return F.pad(given, (0, 0) * (given.dim() - 1) + (0, self.batch - len(given)))

    def _prefill(self, labels: Tensor | None, prefix: Tensor | None) -> None:
        """Feeds what stands before the codes, and draws the first code."""
        model, length = self.model, self.model.config.prefix_length + 1
        at_once = max(1, PREFILL_TOKENS.get(self.device.type, 2**13) // length)
        logits = []
        for start in range(0, self.batch, at_once):
            stop = min(start + at_once, self.batch)
            some = slice(start, stop)
            ids = model.start(stop - start, None if labels is None else labels[some])
            x = model.embed(ids, None if prefix is None else prefix[some]).to(self.dtype)
            x = model.transform(x, causal=True, cache=self.cache.rows(start, stop))
            logits.append(model.project(x[:, -1]))
        self._draw(0, torch.cat(logits))

    def _decode(self) -> None:
        """Draws all further codes."""
        positions = range(1, len(self.codes))
        if self.device.type == "cuda" and self.batches == 1:
            self.replay = record(self._step, positions)
        self.batches += 1
        if self.replay is not None:
            self.replay()
            return
        for position in positions:
            self._step(position)

    def _step(self, position: int) -> None:
        """Feeds the code before this position and draws the one at it, in place."""
        model = self.model
        x = model.embed(model.ids(self.codes[position - 1])[:, None], first=position)
        slot = model.config.prefix_length + position
        x = model.transform(x.to(self.dtype), causal=True, cache=self.cache, slot=slot)
        self._draw(position, model.project(x[:, 0]))

    def _draw(self, position: int, logits: Tensor) -> None:
        self.codes[position] = pick(logits, self.uniforms[position], *self.how)
