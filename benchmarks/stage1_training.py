"""Updates of stage 1 from cached tokens: against the matrix rate, and the original's own step."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.decoder_products import attention_products, linear_products, model_flops
from benchmarks.harness import Figure, Report, Timing, fast_bfloat16, main, time_side_by_side
from benchmarks.limits import matrix_rate, multiply
from benchmarks.originals import OriginalGPT, OriginalStep, as_torch_comes, tokenize
from tessera.allocator import keep_freed_memory
from tessera.data.batches import batch_indices
from tessera.models.decoder_config import Size
from tessera.models.gpt import GPT, SIZES, GPTConfig
from tessera.models.vit import DINOV2_SIZES, VisionTransformer, ViTConfig
from tessera.nn.transfer import sent
from tessera.train.compiling import can_compile
from tessera.train.optimizers import adamw
from tessera.train.task import GradientTask

SMOOTHING = 0.1
CURVE_BAND = 0.02
"""Most that a loss in bfloat16 may part from float32's at any update, relatively."""


@dataclass(frozen=True)
class Case:
    """One model and batch; `target` is the share of the limit to reach."""

    name: str
    config: GPTConfig
    batch: int
    target: float
    online: bool = False
    encoder: ViTConfig = DINOV2_SIZES["dinov2_base"]
    image: int = 224


def gpt(size: Size, vocabulary: int, length: int = 256) -> GPTConfig:
    """A stage 1 without classes."""
    return GPTConfig(
        vocabulary=vocabulary, length=length, norm="post", max_positions=length + 1, **size
    )


# The shape of the original's figure (4.21 s a step from tokens, 7.40 s with the encoder).
SMALL: Size = {"width": 512, "layers": 8, "heads": 8, "ffn": 2048}
CPU_CASES = (Case("26M", gpt(SMALL, 1024), 16, 0.9, online=True),)
GPU_CASES = (
    Case("219M", gpt(SIZES["base"], 8192), 128, 0.5, online=True),
    Case("732M", gpt(SIZES["large"], 16384), 64, 0.55),
)
CURVE = gpt({"width": 64, "layers": 2, "heads": 4, "ffn": 256}, 64, 16)
IMAGES = 2048


def learnable_codes(config: GPTConfig) -> Tensor:
    """Tokens [images, L] of which nine in ten follow from the one before; int16."""
    follower = torch.randperm(config.vocabulary)
    codes = torch.randint(config.vocabulary, (IMAGES, config.length))
    for at in range(1, config.length):
        follows = torch.rand(IMAGES) < 0.9
        codes[follows, at] = follower[codes[follows, at - 1]]
    return codes.to(torch.int16)


def updates(
    config: GPTConfig, batch: int, device: str, dtype: torch.dtype | None, compiled: bool,
    rate: float = 3e-4,
) -> Callable[[], Tensor]:  # fmt: skip
    """Makes what the stage does in each update, from tokens that lie on the device."""
    torch.manual_seed(0)
    model = GPT(config).to(device)
    codes = learnable_codes(config).to(device)
    count = iter(range(10**9))

    def loss(network: nn.Module, step: int, micro: int) -> dict[str, Tensor]:
        chosen = sent(batch_indices(IMAGES, batch, 0, step), device)
        return {"loss": network(codes[chosen].long(), None, None, SMOOTHING)}

    task = GradientTask(
        model, loss, adamw(model.parameters()), lambda step: rate, clip=1.0, autocast=dtype,
        compiled=compiled,
    )  # fmt: skip
    return lambda: task.update(next(count))["loss"]


def original_updates(
    case: Case, device: str, dtype: torch.dtype | None, online: bool
) -> Callable[[], Tensor]:
    """Makes the original's update: from tokens, or from images by an encoder in every step."""
    torch.manual_seed(0)
    config = case.config
    step = OriginalStep(OriginalGPT(config).to(device), dtype)
    if not online:
        codes = torch.randint(config.vocabulary, (case.batch, config.length), device=device)
        return as_torch_comes(lambda: step(codes))
    encoder = VisionTransformer(case.encoder).to(device).eval()
    centroids = torch.randn(config.vocabulary, case.encoder.width, device=device)
    images = torch.rand(case.batch, 3, case.image, case.image, device=device)
    return as_torch_comes(lambda: step(tokenize(encoder, centroids, images, dtype)))


def loss_curves(device: str, steps: int = 50) -> Tensor:
    """Losses [2, steps] of the same updates of a small model, in float32 and in bfloat16."""
    curves = []
    for dtype in (None, torch.bfloat16):
        update = updates(CURVE, 64, device, dtype, compiled=False, rate=1e-2)
        curves.append(torch.stack([update() for _ in range(steps)]))
    return torch.stack(curves)


def measure_case(case: Case, device: str, repeats: int) -> list[Figure]:
    """The figures of one model."""
    on_gpu = torch.device(device).type == "cuda"
    dtype = torch.bfloat16 if on_gpu else None
    config, batch = case.config, case.batch
    compiled = on_gpu and can_compile(device)
    works: dict[str, Callable[[], Any]] = {"step": updates(config, batch, device, dtype, compiled)}
    if compiled:
        works["plain"] = updates(config, batch, device, dtype, compiled=False)
    if not on_gpu:
        linear = multiply(linear_products(config, batch), torch.float32, device)
        works["linear"] = linear
        works["attention"] = attention_products(config, batch, torch.float32, device)
        if fast_bfloat16(device):
            works["bfloat16"] = updates(config, batch, device, torch.bfloat16, compiled=False)
    if case.online:
        works["original"] = original_updates(case, device, dtype, online=False)
        works["online"] = original_updates(case, device, dtype, online=True)
    # A processor's second round still meets new pages of memory.
    times = time_side_by_side(works, device, repeats, warm=3 if on_gpu else 2)
    flops, tokens, figures = model_flops(config, batch), batch * (config.length + 1), []

    def beside(
        seconds: float, name: str, against: str, target: float | None, timing: Timing
    ) -> Figure:
        """Updates a second beside another way that takes so many seconds."""
        speed = f"{flops / timing.median / 1e9:.0f} GFLOP/s, {tokens / timing.median:.0f} tokens/s"
        return Figure(
            name=f"{case.name}{name}", unit="1/s", against=against, other=1 / seconds,
            target=target, note=speed, **timing.of(1),
        )  # fmt: skip

    step = times["step"]
    if on_gpu:
        rate = matrix_rate(torch.bfloat16, device)
        for name, how in (("step", "compiled" if compiled else "plain"), ("plain", "plain")):
            if name in times:
                figures.append(
                    Figure(
                        name=f"{case.name}, bfloat16, {how}: model FLOP/s", unit="FLOP/s",
                        against="rate of a square product in bfloat16", other=rate,
                        target=case.target if name == "step" else None,
                        note=f"batch {batch}, {tokens / times[name].median:.0f} tokens/s",
                        **times[name].of(flops),
                    )
                )  # fmt: skip
    else:
        alone = "its matrix products alone, of attention half: no position sees those after it"
        seconds = times["linear"].median + times["attention"].median / 2
        figures.append(beside(seconds, ", float32: updates", alone, case.target, step))
        if "bfloat16" in times:
            against = "the same update in float32"
            timing = times["bfloat16"]
            figures.append(beside(step.median, ", bfloat16: updates", against, 2.5, timing))
    for name, target, what in (
        ("original", None, "from tokens"),
        ("online", 2.0, "with the encoder in every step"),
    ):
        if name in times:
            against = f"the original's update {what}, rebuilt plainly on this machine"
            label = f": updates against the original's, {what}"
            figures.append(beside(times[name].median, label, against, target, step))
    return figures


def measure(device: str, full: bool) -> Report:
    """Updates of stage 1."""
    keep_freed_memory()  # as the stage does
    cases = GPU_CASES if full else CPU_CASES
    on_gpu = torch.device(device).type == "cuda"
    figures = [f for case in cases for f in measure_case(case, device, 10 if on_gpu else 3)]
    exact, rounded = loss_curves(device)
    figures.append(
        Figure(
            name="largest gap of the loss curve, bfloat16 to float32, 50 updates",
            value=float(((rounded - exact).abs() / exact).max()), unit="relative",
            against="the band", other=CURVE_BAND, target=1.0, bound="at most",
            note=f"the loss falls from {exact[0]:.2f} to {exact[-1]:.2f} nats",
        )
    )  # fmt: skip
    slow = not on_gpu and not fast_bfloat16(device)
    return Report(
        benchmark="stage1_training",
        sizes={c.name: {"batch": c.batch, "positions": c.config.length + 1} for c in cases},
        figures=figures,
        left_out=["the step in bfloat16: the processor has no bfloat16"] if slow else [],
    )


if __name__ == "__main__":
    sys.exit(main(measure))
