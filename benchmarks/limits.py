"""What the machine allows: rates of matrix products and of memory, measured in the same run."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from benchmarks.harness import wait

MATRIX_SIZE = {"cpu": 2048, "cuda": 8192}
READ_BYTES = {"cpu": 2**28, "cuda": 2**32}
COLUMNS = 1024
SECONDS = {"cpu": 4.0, "cuda": 0.5}
"""For which a limit is measured."""


@dataclass(frozen=True)
class Product:
    """`count` products of an activation [rows, inner] with a weight [outer, inner]."""

    rows: int
    inner: int
    outer: int
    count: int = 1

    @property
    def flops(self) -> float:
        """Floating-point operations of all of them: two a multiplication with its sum."""
        return 2.0 * self.rows * self.inner * self.outer * self.count


def multiply(products: Sequence[Product], dtype: torch.dtype, device: str) -> Callable[[], None]:
    """Makes a work for `time_side_by_side`: these products, each `count` times, and nothing else.

    A product of the backward pass is one too: that for the input is [rows, outer] with
    [inner, outer], that for the weight [outer, rows] with [inner, rows].
    """
    operands = [
        (
            torch.randn(product.rows, product.inner, device=device, dtype=dtype),
            torch.randn(product.outer, product.inner, device=device, dtype=dtype),
            product.count,
        )
        for product in products
    ]

    def work() -> None:
        for x, weight, count in operands:
            for _ in range(count):
                F.linear(x, weight)

    return work


def matrix_rate(dtype: torch.dtype, device: str) -> float:
    """FLOP/s of a large square product: the rate that "share of the matrix rate" refers to."""
    size = MATRIX_SIZE[torch.device(device).type]
    product = Product(size, size, size)
    return product.flops / sustained(multiply([product], dtype, device), device)


def bandwidth(device: str) -> float:
    """Bytes a second that can be read: weights and caches are not written.

    That of a large matrix times a vector; a copy also has to read what it writes over.
    """
    matrix = torch.zeros(READ_BYTES[torch.device(device).type] // 4 // COLUMNS, COLUMNS)
    matrix, vector = matrix.to(device), torch.zeros(COLUMNS, device=device)
    return 4 * matrix.numel() / sustained(lambda: matrix.mv(vector), device)


def sustained(work: Callable[[], object], device: str, least: float | None = None) -> float:
    """Seconds of a call, when it is called again and again, after one call that does not count.

    The mean of some seconds, not the fastest: a shared machine is twice as fast for moments, which
    no longer work can be.

    Args:
        work: what is called.
        device: where it runs.
        least: seconds that it is called for at least; absent, those of `SECONDS`.
    """
    work()
    wait(device)
    least = SECONDS[torch.device(device).type] if least is None else least
    start, calls = time.perf_counter(), 0
    while (seconds := time.perf_counter() - start) < least or not calls:
        work()
        wait(device)
        calls += 1
    return seconds / calls
