"""Updates of stage 1 from cached tokens: against the matrix rate, and the original's own step."""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.harness import Figure, Report, fast_bfloat16, main, time_side_by_side
from benchmarks.limits import Product, matrix_rate, multiply
from benchmarks.originals import OriginalGPT, OriginalStep, tokenize
from tessera.allocator import keep_freed_memory
from tessera.data.batches import batch_indices, on_device
from tessera.models.decoder_config import Size
from tessera.models.gpt import GPT, SIZES, GPTConfig
from tessera.models.vit import DINOV2_SIZES, VisionTransformer, ViTConfig
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


def linear_products(config: GPTConfig, batch: int) -> list[Product]:
    """The products of an update with weights: forward, for the input, for the weight."""
    rows, width = batch * (config.length + 1), config.width
    shapes = [
        (width, 3 * width, config.layers),
        (width, width, config.layers),
        (width, config.ffn, config.layers),
        (config.ffn, width, config.layers),
        (width, config.symbols, 1),
    ]
    return [
        product
        for inner, outer, count in shapes
        for product in (
            Product(rows, inner, outer, count),
            Product(rows, outer, inner, count),
            Product(outer, rows, inner, count),
        )
    ]


def attention_flops(config: GPTConfig, batch: int) -> float:
    """Of an update: scores and sums, thrice; half of them, for a position sees none after it."""
    length = config.length + 1
    return 3 * 2 * 2.0 * config.layers * batch * length**2 * config.width / 2


def model_flops(config: GPTConfig, batch: int) -> float:
    """Of an update: 6 x weights x positions, and attention. Nothing is counted twice."""
    return sum(p.flops for p in linear_products(config, batch)) + attention_flops(config, batch)


def attention_products(
    config: GPTConfig, batch: int, dtype: torch.dtype, device: str
) -> Callable[[], None]:
    """The six batched products of an update's attention, whole squares, into given memory."""
    heads, length = batch * config.heads, config.length + 1
    wide = torch.randn(heads, length, config.width // config.heads, device=device, dtype=dtype)
    square = torch.randn(heads, length, length, device=device, dtype=dtype)
    one, two = torch.empty_like(square), torch.empty_like(wide)

    def work() -> None:
        for _ in range(config.layers):
            for _ in range(2):  # scores, and the gradient of the probabilities
                torch.bmm(wide, wide.transpose(1, 2), out=one)
            for left in (square, square, square.transpose(1, 2), square.transpose(1, 2)):
                torch.bmm(left, wide, out=two)

    return work


def updates(
    config: GPTConfig, batch: int, device: str, dtype: torch.dtype | None, compiled: bool
) -> Callable[[], Tensor]:
    """Makes what the stage does in each update, from tokens that lie on the device."""
    torch.manual_seed(0)
    model = GPT(config).to(device)
    codes = torch.randint(config.vocabulary, (IMAGES, config.length), dtype=torch.int16).to(device)
    count = iter(range(10**9))

    def loss(network: nn.Module, step: int, micro: int) -> dict[str, Tensor]:
        chosen = on_device(batch_indices(IMAGES, batch, 0, step), device)
        return {"loss": network(codes[chosen].long(), None, None, SMOOTHING)}

    task = GradientTask(
        model, loss, adamw(model.parameters()), lambda step: 3e-4, clip=1.0, autocast=dtype,
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
        return lambda: step(codes)
    encoder = VisionTransformer(case.encoder).to(device).eval()
    centroids = torch.randn(config.vocabulary, case.encoder.width, device=device)
    images = torch.rand(case.batch, 3, case.image, case.image, device=device)
    return lambda: step(tokenize(encoder, centroids, images, dtype))


def curve_gap(device: str, steps: int = 50) -> float:
    """Largest relative difference of the losses of 50 updates in bfloat16 to those in float32."""
    curves = []
    for dtype in (None, torch.bfloat16):
        update = updates(CURVE, 64, device, dtype, compiled=False)
        curves.append(torch.stack([update() for _ in range(steps)]))
    exact, rounded = curves
    return float(((rounded - exact).abs() / exact).max())


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
        attention = attention_products(config, batch, torch.float32, device)
        works["products"] = lambda: (linear(), attention())
    if case.online:
        works["original"] = original_updates(case, device, dtype, online=False)
        works["online"] = original_updates(case, device, dtype, online=True)
    times = time_side_by_side(works, device, repeats, warm=3 if on_gpu else 1)
    flops, step = model_flops(config, batch), times["step"]
    tokens, figures = batch * (config.length + 1), []
    speed = f"{flops / step.median / 1e9:.0f} GFLOP/s, {tokens / step.median:.0f} tokens/s"
    if on_gpu:
        rate = matrix_rate(torch.bfloat16, device)
        for name, note in (("step", "compiled" if compiled else "plain"), ("plain", "plain")):
            if name in times:
                figures.append(
                    Figure(
                        name=f"{case.name}, bfloat16, {note}: model FLOP/s",
                        unit="FLOP/s",
                        against="rate of a square product in bfloat16",
                        other=rate,
                        target=case.target if name == "step" else None,
                        note=f"batch {batch}, {tokens / times[name].median:.0f} tokens/s",
                        **times[name].of(flops),
                    )
                )
    else:
        figures.append(
            Figure(
                name=f"{case.name}, float32: updates",
                unit="1/s",
                against="its matrix products alone, those of attention as batched whole squares",
                other=1 / times["products"].median,
                target=case.target,
                note=speed,
                **step.of(1),
            )
        )
    for name, target, what in (
        ("original", None, "from tokens"),
        ("online", 2.0, "with the encoder in every step"),
    ):
        if name in times:
            figures.append(
                Figure(
                    name=f"{case.name}: updates against the original's, {what}",
                    unit="1/s",
                    against=f"the original's update {what}, rebuilt plainly on this machine",
                    other=1 / times[name].median,
                    target=target,
                    **step.of(1),
                )
            )
    return figures


def measure(device: str, full: bool) -> Report:
    """Updates of stage 1."""
    keep_freed_memory()  # these three as the stages do
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    cases = GPU_CASES if full else CPU_CASES
    on_gpu = torch.device(device).type == "cuda"
    figures = [f for case in cases for f in measure_case(case, device, 10 if on_gpu else 3)]
    left_out = []
    gap = curve_gap(device)
    figures.append(
        Figure(
            name="largest gap of the loss curve, bfloat16 to float32, 50 updates",
            value=max(gap, 1e-12), unit="relative", against="the band", other=CURVE_BAND,
            target=1.0, bound="at most",
        )
    )  # fmt: skip
    if not on_gpu and not fast_bfloat16(device):
        left_out.append("the step in bfloat16: the processor has no bfloat16")
    return Report(
        benchmark="stage1_training",
        sizes={c.name: {"batch": c.batch, "positions": c.config.length + 1} for c in cases},
        figures=[f for f in figures if math.isfinite(f.value)],
        left_out=left_out,
    )


if __name__ == "__main__":
    sys.exit(main(measure))
