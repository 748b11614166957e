"""Masked stage-2 sampling in 8 steps: images a second beside those that the matrix rate allows."""

import sys
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from benchmarks.harness import Figure, Report, fast_bfloat16, main, time_side_by_side
from benchmarks.limits import matrix_rate
from tessera.models.decoder_config import SIZES
from tessera.models.maskgit import MaskGIT, MaskGITConfig
from tessera.sampling.masked import hidden_counts, noise_shape, sample_masked
from tessera.sampling.noise import uniforms
from tessera.sampling.prepared import prepared

STEPS = 8
TASK: Mapping[str, Any] = {
    "vocabulary": 1024, "length": 256, "prefix_vocabulary": 8192, "prefix_length": 256,
    "max_positions": 257, "norm": "post",
}  # fmt: skip
SMALL: Mapping[str, Any] = {**TASK, "width": 512, "layers": 8, "heads": 8, "ffn": 2048}
FULL: Mapping[str, Any] = {**TASK, **SIZES["base"]}
BATCH = 4
FULL_BATCH = {torch.float32: 32, torch.bfloat16: 256}
"""On a GPU float32 is for comparison alone, and takes ten times as long."""
TARGET = 0.5
LIMIT = "all products at the matrix rate"


def flops(config: MaskGITConfig, steps: int) -> float:
    """Operations of one image: the blocks over everything a step, logits of hidden codes alone."""
    c = config
    positions = c.prefix_length + 1 + c.length
    block = 2.0 * positions * (4 * c.width**2 + 2 * c.width * c.ffn) + 4.0 * positions**2 * c.width
    drawn = sum(before for before, _ in pairwise([c.length, *hidden_counts(c.length, steps)]))
    return steps * c.layers * block + 2.0 * drawn * c.width * c.symbols


def measure(device: str, full: bool) -> Report:
    """Masked stage-2 sampling beside its limit."""
    torch.manual_seed(0)
    sizes = FULL if full else SMALL
    model = MaskGIT(MaskGITConfig(**sizes)).to(device).eval().requires_grad_(False)
    figures, left = [], []
    for dtype in (torch.float32, torch.bfloat16):
        name = str(dtype).removeprefix("torch.")
        if dtype == torch.bfloat16 and not fast_bfloat16(device):
            left.append("bfloat16: the processor has none")
            continue
        used = model if dtype == torch.float32 else prepared(model, 1, dtype)
        batch = FULL_BATCH[dtype] if full else BATCH
        repeats = 3 if full and dtype == torch.bfloat16 else 2
        timing = time_side_by_side({"": drawing(used, batch)}, device, repeats)[""]
        rate = matrix_rate(dtype, device)
        figures.append(
            Figure(
                name=f"{name}, {STEPS} steps",
                unit="images/s",
                against=LIMIT,
                other=rate / flops(model.config, STEPS),
                # On a processor it is reported; on a GPU sample sets are drawn in bfloat16.
                target=TARGET if full and dtype == torch.bfloat16 else None,
                note=f"batch {batch}",
                **timing.of(batch),
            )
        )
    sizes = {**sizes, "steps": STEPS}
    return Report(benchmark="masked_sampling", sizes=sizes, figures=figures, left_out=left)


def drawing(model: MaskGIT, batch: int) -> Callable[[], Tensor]:
    """A work: one batch of images after random prefixes, the numbers for it included."""
    c, device = model.config, model.tokens.weight.device
    prefix = torch.randint(c.prefix_vocabulary, (batch, c.prefix_length), device=device)
    shape = noise_shape(c.length, STEPS)

    def work() -> Tensor:
        noise = uniforms(0, "stage2", range(batch), shape)
        return sample_masked(model, noise, None, prefix, steps=STEPS)

    return work


if __name__ == "__main__":
    sys.exit(main(measure))
