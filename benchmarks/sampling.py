"""What the two benchmarks of autoregressive sampling share: shapes, least work, and figures."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmarks.harness import Figure, Timing, time_side_by_side
from benchmarks.limits import bandwidth, matrix_rate
from tessera.models.gpt import GPT, GPTConfig
from tessera.sampling.engine import Engine
from tessera.sampling.noise import uniforms

REFERENCE: Mapping[str, Any] = {
    "vocabulary": 1024, "length": 256, "width": 512, "layers": 8, "heads": 8, "ffn": 2048,
    "max_positions": 257, "norm": "post",
}  # fmt: skip
"""The shape at which the original was timed on a processor."""
LIMIT = "weights and cache over the bandwidth, products at the matrix rate"
IMAGES = 50_000


def build(device: str, sizes: Mapping[str, Any]) -> GPT:
    """A model with random weights."""
    torch.manual_seed(0)
    with torch.device(device):
        return GPT(GPTConfig(**sizes)).eval().requires_grad_(False)


@dataclass(frozen=True)
class Machine:
    """Rates that were measured in this run: FLOP/s of products, bytes/s of memory."""

    flops: float
    bytes: float

    @classmethod
    def measured(cls, dtype: torch.dtype, device: str) -> "Machine":
        """Measures both."""
        return cls(matrix_rate(dtype, device), bandwidth(device))


@dataclass(frozen=True)
class Work:
    """What a batch of samples takes at least.

    Attributes:
        flops: of all matrix products with weights, and of the attention within prefixes.
        weights: bytes of the weights, once a step.
        cache: bytes of keys and values that the steps read.
        steps: decoding steps.
        step_flops: of the products of one step.
    """

    flops: float
    weights: float
    cache: float
    steps: int
    step_flops: float

    def seconds(self, machine: Machine) -> float:
        """The limit: products and attention wait for each other, so their times add up.

        The products of a step take as long as their operations or their weights, whatever is more.
        """
        prefill = self.flops - self.steps * self.step_flops
        step = max(self.step_flops / machine.flops, self.weights / machine.bytes)
        return prefill / machine.flops + self.steps * step + self.cache / machine.bytes


def work(config: GPTConfig, batch: int, itemsize: int) -> Work:
    """Of a batch; `itemsize` bytes a number."""
    c, before = config, config.prefix_length + 1
    inner = c.layers * (4 * c.width**2 + 2 * c.width * c.ffn)  # weights of the blocks
    outer = c.width * c.symbols
    step = 2.0 * batch * (inner + outer)
    # Within a prefix a position sees half of it on average; a start symbol alone sees itself.
    seen = 4.0 * c.layers * c.width * before * (before + 1) / 2 if c.prefix_length else 0.0
    first = 2.0 * batch * (inner * before + outer) + batch * seen
    steps = c.length - 1
    slots = sum(before + position for position in range(1, steps + 1))
    cache = 2.0 * c.layers * c.width * slots * batch * itemsize
    return Work(first + steps * step, float(itemsize * (inner + outer)), cache, steps, step)


def drawing(made: Engine, batch: int) -> Callable[[], Tensor]:
    """A work for `time_side_by_side`: draws one batch, the numbers for it included."""
    c, more = made.model.config, {}
    if c.prefix_length:
        shape = (batch, c.prefix_length)
        more = {"prefix": torch.randint(c.prefix_vocabulary, shape, device=made.device)}
    return lambda: made(uniforms(0, "benchmark", range(batch), (c.length,)), **more)


def rate(name: str, timing: Timing, tokens: int, against: str, other: float, **more: Any) -> Figure:
    """Tokens a second."""
    return Figure(
        name=name, unit="tokens/s", against=against, other=other, **timing.of(tokens), **more
    )


def reckoned(made: Engine, seconds: float) -> tuple[list[Figure], Timing]:
    """Seconds for `IMAGES` images on a GPU, from five batches of the engine.

    Args:
        made: An engine that has drawn nothing yet.
        seconds: What the images may take.

    Returns:
        The figures against this and against the limit, and the timing of a replayed batch.
    """
    device, draw = str(made.device), drawing(made, made.batch)
    # The first batch runs step by step, the second is recorded; both count once.
    first, second = (time_side_by_side({"": draw}, device, 1, warm=0)[""] for _ in range(2))
    again = time_side_by_side({"": draw}, device, repeats=3, warm=0)[""]
    batches = IMAGES / made.batch
    taken = first.median + second.median + (batches - 2) * again.median
    machine = Machine.measured(made.dtype, device)
    limit = batches * work(made.model.config, made.batch, made.dtype.itemsize).seconds(machine)
    replayed = "replayed" if made.replay else "NOT replayed, the log says why"
    shared: dict[str, Any] = {
        "value": taken, "unit": "s", "bound": "at most", "spread": again.spread,
        "repeats": len(again.seconds), "peak_bytes": again.peak_bytes,
        "note": f"reckoned from {5 * made.batch} images; steps were {replayed}",
    }  # fmt: skip
    name = f"{IMAGES:,} images, {str(made.dtype).removeprefix('torch.')}"
    return [
        Figure(name=name, against=f"{seconds:g} s", other=seconds, target=1.0, **shared),
        Figure(name=f"{name}, against the limit", against=LIMIT, other=limit, **shared),
    ], again
