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
    return product.flops / fastest(multiply([product], dtype, device), device, 9)


def bandwidth(device: str) -> float:
    """Bytes a second that can be read: weights and caches are not written.

    That of a large matrix times a vector; a copy also has to read what it writes over.
    """
    matrix = torch.zeros(READ_BYTES[torch.device(device).type] // 4 // COLUMNS, COLUMNS)
    matrix, vector = matrix.to(device), torch.zeros(COLUMNS, device=device)
    return 4 * matrix.numel() / fastest(lambda: matrix.mv(vector), device, 9)


def fastest(work: Callable[[], object], device: str, repeats: int) -> float:
    """Seconds of the fastest of `repeats`, after one that does not count.

    The fastest, not the median: it stands for what the machine can do.
    """
    work()
    best = float("inf")
    for _ in range(repeats):
        wait(device)
        start = time.perf_counter()
        work()
        wait(device)
        best = min(best, time.perf_counter() - start)
    return best
