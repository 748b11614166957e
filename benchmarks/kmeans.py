"""K-Means beside faiss-cpu called plainly and the rate of its matrix products.

On a CPU both begin from the same points, since a seed draws the same ones in both. On a GPU the
points are read from a file of float16, which the script has written before the clock runs: so they
come from the system's cache of files.
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.harness import Figure, Report, main, peak, reset_peak, time_side_by_side, wait
from benchmarks.limits import Product, matrix_rate
from tessera.quantize.assign import closest, table_of
from tessera.quantize.kmeans import fit_kmeans

SECONDS = 15.0
"""What 2.1 M points may take on a GPU."""
SEED = 1234


@dataclass(frozen=True)
class Size:
    """A K-Means: points, channels, clusters, iterations."""

    points: int
    width: int
    clusters: int
    iterations: int

    @property
    def flops(self) -> float:
        """Of all products: each iteration's, and those of the final counts and inertia."""
        product = Product(self.points, self.width, self.clusters, self.iterations + 1)
        return product.flops

    def __str__(self) -> str:
        """For names of figures."""
        return f"{self.clusters} x {self.width} over {self.points} points"


FULL = Size(2_097_152, 768, 8192, 20)
SIZES = (Size(65_536, 256, 512, 10), Size(32_768, 768, 1024, 5), Size(8192, 768, 2048, 5))


def points_of(size: Size) -> NDArray[np.float32]:
    """Points about as many centres as there are clusters, each coordinate with noise of 1."""
    random = np.random.default_rng(0)
    points = random.standard_normal((size.points, size.width), np.float32)
    centres = random.standard_normal((size.clusters, size.width), np.float32)
    for start in range(0, size.points, 2**14):  # a copy of all would be as large as they are
        block = points[start : start + 2**14]
        block += centres[random.integers(size.clusters, size=len(block))]
    return points


def inertia(points: NDArray[np.float32], centroids: NDArray[np.float32]) -> float:
    """Sum of squared distances to the nearest centroid: differences in float32, their sum in 64."""
    table = torch.from_numpy(centroids)
    total = 0.0
    for block in torch.from_numpy(points).split(2**13):
        index, _ = closest(block, table_of(table))
        total += float((block - table[index]).square().sum(dtype=torch.float64))
    return total


def compare(size: Size, rate: float) -> Iterator[Figure]:
    """Figures of one size on a CPU: faiss's speed, the matrix rate, faiss's objective."""
    import faiss

    points = points_of(size)
    found: dict[str, Any] = {}

    def plain() -> None:
        fit = faiss.Kmeans(size.width, size.clusters, niter=size.iterations, seed=SEED)
        fit.train(points)
        found["faiss"] = fit.centroids

    def ours() -> None:
        found["ours"] = fit_kmeans(points, size.clusters, size.iterations, SEED).centroids

    faiss.omp_set_num_threads(torch.get_num_threads())
    times = time_side_by_side({"faiss": plain, "ours": ours}, "cpu", repeats=3)
    work = size.points * size.iterations
    yield Figure(
        name=f"{size}",
        **times["ours"].of(work),
        unit="points x iterations/s",
        against="faiss-cpu called plainly",
        other=work / times["faiss"].median,
        target=1.0,
        note="with the check for NaN, counts and inertia, which faiss does not do",
    )
    yield Figure(
        name=f"{size}, products",
        **times["ours"].of(size.flops),
        unit="FLOP/s",
        against="float32 matrix rate",
        other=rate,
    )
    yield Figure(
        name=f"{size}, objective",
        value=inertia(points, found["ours"]),
        unit="sum of squared distances",
        against="that of faiss's centroids from the same points",
        other=inertia(points, found["faiss"]),
        target=1.001,
        bound="at most",
        peak_bytes=times["ours"].peak_bytes,
    )


def at_full_size(size: Size, device: str) -> Iterator[Figure]:
    """Figures of a GPU: seconds from a file to centroids, and the float32 rate beside them."""
    rate = matrix_rate(torch.float32, device)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "points.npy"
        np.save(file, made_on(size, device))
        small = np.load(file, mmap_mode="c")[: 4 * size.clusters]
        fit_kmeans(small, size.clusters, 1, SEED, device)  # loads kernels
        wait(device)
        reset_peak(device)
        start = time.perf_counter()
        fit = fit_kmeans(np.load(file, mmap_mode="c"), size.clusters, size.iterations, SEED, device)
        seconds = time.perf_counter() - start
    peak_bytes = peak(device)
    yield Figure(
        name=f"{size}, {len(fit.objective)} iterations, with loading",
        value=seconds,
        unit="s",
        against="seconds allowed",
        other=SECONDS,
        target=1.0,
        bound="at most",
        note="from a file of float16 in the system's cache",
        peak_bytes=peak_bytes,
    )
    yield Figure(
        name=f"{size}, products",
        value=size.flops / seconds,
        unit="FLOP/s",
        against="float32 matrix rate",
        other=rate,
        note="above 1 where two products in TF32 take the place of one in float32",
        peak_bytes=peak_bytes,
    )


def made_on(size: Size, device: str) -> NDArray[np.float16]:
    """Points as `points_of`, made by the device."""
    points = np.empty((size.points, size.width), np.float16)
    torch.manual_seed(0)
    centres = torch.randn(size.clusters, size.width, device=device)
    for start in range(0, size.points, 2**16):
        rows = min(2**16, size.points - start)
        block = torch.randn(rows, size.width, device=device)
        block += centres[torch.randint(size.clusters, (rows,), device=device)]
        points[start : start + rows] = block.half().cpu().numpy()
    return points


def measure(device: str, full: bool) -> Report:
    """K-Means against faiss-cpu, and at full size on a GPU."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # as the stage sets it
    on_gpu = torch.device(device).type == "cuda"
    figures: list[Figure] = []
    left = []
    if on_gpu:
        figures += at_full_size(FULL if full else SIZES[0], device)
        left.append("faiss-cpu: this run is of the GPU")
    else:
        rate = matrix_rate(torch.float32, device)
        for size in SIZES:
            figures += compare(size, rate)
        if full:
            left.append(f"{FULL}: hours of faiss-cpu")
    return Report(
        benchmark="kmeans",
        sizes={"full": str(FULL)} if on_gpu and full else {"sizes": [str(size) for size in SIZES]},
        figures=figures,
        left_out=left,
    )


if __name__ == "__main__":
    sys.exit(main(measure))
