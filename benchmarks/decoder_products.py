"""The matrix products that an update of a decoder is made of, and their operations."""

from collections.abc import Callable

import torch

from benchmarks.limits import Product
from tessera.models.gpt import GPTConfig


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
