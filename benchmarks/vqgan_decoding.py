"""VQGAN decoding of codes to bytes: images a second beside those that the matrix rate allows."""

import sys
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.harness import Figure, Report, fast_bfloat16, main, time_side_by_side
from benchmarks.limits import matrix_rate
from tessera.models.vqgan import VQGAN, VQGANConfig

CONFIG = VQGANConfig()
IMAGES = {False: 4, True: 256}
"""Images of a repeat, by whether the size is full."""
ALONE = {False: 4, True: 32}
"""Images of a repeat where they are decoded one by one."""
SET = 50_000
TARGET = 0.35
LIMIT = "all convolutions at the matrix rate"


def flops(config: VQGANConfig) -> float:
    """Operations of the convolutions that decode one image."""
    c, side = config, config.grid

    def convolution(before: int, after: int, kernel: int) -> float:
        return 2.0 * side**2 * before * after * kernel**2

    def residual(before: int, after: int) -> float:
        shortcut = convolution(after, after, 1) if before != after else 0.0
        return convolution(before, after, 3) + convolution(after, after, 3) + shortcut

    width = c.widths[-1]
    total = convolution(c.code_width, width, 3) + 2 * residual(width, width)
    for level, after in reversed(list(enumerate(c.widths))):
        total += residual(width, after) + (c.residual_blocks - 1) * residual(after, after)
        width = after
        if level:
            side *= 2
            total += convolution(width, width, 3)
    return total + convolution(width, 3, 3)


def measure(device: str, full: bool) -> Report:
    """VQGAN decoding beside its limit, and beside decoding image by image."""
    torch.manual_seed(0)
    model = VQGAN(CONFIG).to(device).eval().requires_grad_(False)
    figures, left, images = [], [], IMAGES[full]
    for dtype in (torch.float32, torch.bfloat16):
        name = str(dtype).removeprefix("torch.")
        if dtype == torch.bfloat16 and not fast_bfloat16(device):
            left.append("bfloat16: the processor has none")
            continue
        model.decoder.to(dtype)
        codes = torch.randint(CONFIG.codes, (images, CONFIG.grid**2), device=device)
        works: dict[str, Callable[[], object]] = {"ours": painting(model, codes)}
        if dtype == torch.float32:
            works["alone"] = alone(model, device, ALONE[full])
        timings = time_side_by_side(works, device, repeats=3)
        timing = timings["ours"]
        figures.append(
            Figure(
                name=name,
                unit="images/s",
                against=LIMIT,
                other=matrix_rate(dtype, device) / flops(CONFIG),
                target=TARGET if full else None,
                note=f"{SET:,} images: {SET * timing.median / images:.0f} s",
                **timing.of(images),
            )
        )
        if "alone" in timings:
            figures.append(
                Figure(
                    name=f"{name}, against image by image",
                    unit="images/s",
                    against="one at a time with channels first, fetched before it is cut to bytes",
                    other=ALONE[full] / timings["alone"].median,
                    **timing.of(images),
                )
            )
    sizes = {"resolution": CONFIG.resolution, "channels": CONFIG.channels, "images": images}
    return Report(benchmark="vqgan_decoding", sizes=sizes, figures=figures, left_out=left)


def painting(model: VQGAN, codes: Tensor) -> Callable[[], Tensor]:
    """A work: bytes from codes, fetched as the stage `sampling` writes them."""

    @torch.inference_mode()
    def work() -> Tensor:
        return model.paint(codes).permute(0, 2, 3, 1).contiguous().cpu()

    return work


def alone(model: VQGAN, device: str, images: int) -> Callable[[], None]:
    """A work: the original's way, image by image, each fetched and then cut to bytes."""
    codes = torch.randint(CONFIG.codes, (images, 1, CONFIG.grid**2), device=device)

    @torch.inference_mode()
    def work() -> None:
        for one in codes:
            vectors = model.quantize.vectors(one, (CONFIG.grid, CONFIG.grid))
            pixels = model.decode(vectors.contiguous()).cpu()
            (pixels * 255).clamp(0, 255).byte()

    return work


if __name__ == "__main__":
    sys.exit(main(measure))
