"""K-Means beside faiss-cpu called plainly and the rate of its matrix products.

On a CPU both begin from the same points, since a seed draws the same ones in both; and the points
are also read as the stage reads them, from a part of features. A machine with a GPU may lack what
that takes: there they come from one file of float16, which the script has written before the clock
runs. Either way they come from the system's cache of files.
"""

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
from tessera.quantize.kmeans import KMeansResult, fit_kmeans

SECONDS = 15.0
"""What 2.1 M points may take on a GPU."""
SEED = 1234
SPREAD = 0.3
"""Of the centres, where that of the points about each is 1. At 1 they are found, and K-Means ends,
after 7 to 14 rounds, while faiss goes on."""


@dataclass(frozen=True)
class Size:
    """A K-Means: points, channels, clusters, iterations."""

    points: int
    width: int
    clusters: int
    iterations: int

    def work(self, fit: KMeansResult) -> int:
        """Points times the rounds that a fit did: it ends early where nothing moves any more."""
        return self.points * len(fit.objective)

    def flops(self, fit: KMeansResult) -> float:
        """Of a fit's products: each round's, and those of the final counts and inertia.

        Which a fit that ends early has from its last round.
        """
        again = fit.inertia != fit.objective[-1]
        rounds = len(fit.objective) + again
        return Product(self.points, self.width, self.clusters, rounds).flops

    def rounds(self, fit: KMeansResult) -> str:
        """For notes."""
        return f"{len(fit.objective)} of {self.iterations} rounds"

    def __str__(self) -> str:
        """For names of figures."""
        return f"{self.clusters} x {self.width} over {self.points} points"


FULL = Size(2_097_152, 768, 8192, 20)
SIZES = (Size(65_536, 256, 512, 10), Size(32_768, 768, 1024, 5), Size(8192, 768, 2048, 3))


def points_of(size: Size) -> NDArray[np.float32]:
    """Points about as many centres as there are clusters, which overlap."""
    random = np.random.default_rng(0)
    points = random.standard_normal((size.points, size.width), np.float32)
    centres = SPREAD * random.standard_normal((size.clusters, size.width), np.float32)
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
    """Figures of one size on a CPU: faiss's speed, the matrix rate, loading, faiss's objective."""
    import faiss

    points = points_of(size)
    found: dict[str, Any] = {}

    def plain() -> None:
        fit = faiss.Kmeans(size.width, size.clusters, niter=size.iterations, seed=SEED)
        fit.train(points)
        found["faiss"] = fit.centroids

    def ours() -> None:
        found["ours"] = fit_kmeans(points, size.clusters, size.iterations, SEED)

    def staged() -> None:
        found["staged"] = fit_kmeans(loaded(part, size), size.clusters, size.iterations, SEED)

    faiss.omp_set_num_threads(torch.get_num_threads())
    with tempfile.TemporaryDirectory() as folder:
        part = as_part(points, Path(folder))
        works = {"faiss": plain, "ours": ours, "staged": staged}
        times = time_side_by_side(works, "cpu", repeats=3)
    fit, staged_fit = found["ours"], found["staged"]
    yield Figure(
        name=f"{size}",
        **times["ours"].of(size.work(fit)),
        unit="points x iterations/s",
        against="faiss-cpu called plainly",
        other=size.points * size.iterations / times["faiss"].median,
        target=1.0,
        note="with the check for NaN, counts and inertia, which faiss does not do; "
        + size.rounds(fit),
    )
    yield Figure(
        name=f"{size}, products",
        **times["ours"].of(size.flops(fit)),
        unit="FLOP/s",
        against="float32 matrix rate",
        other=rate,
    )
    yield Figure(
        name=f"{size}, with loading",
        **times["staged"].of(size.work(staged_fit)),
        unit="points x iterations/s",
        against="the fit alone",
        other=size.work(fit) / times["ours"].median,
        note="chosen and read from a part of float16, as the stage does, and fitted so; "
        + size.rounds(staged_fit),
    )
    yield Figure(
        name=f"{size}, objective",
        value=inertia(points, fit.centroids),
        unit="sum of squared distances",
        against="that of faiss's centroids from the same points",
        other=inertia(points, found["faiss"]),
        target=1.001,
        bound="at most",
        peak_bytes=times["ours"].peak_bytes,
    )


def as_part(points: NDArray[np.float32], folder: Path) -> Path:
    """The points as the stage of features leaves them."""
    from tessera.io.parts import write_part

    file = folder / "part-0000-of-0001.zarr.zip"
    features, place = points.astype(np.float16), np.arange(len(points))
    write_part(file, {"features": features, "place": place}, {"width": points.shape[1]})
    return file


def loaded(part: Path, size: Size) -> NDArray[np.floating]:
    """The points as the stage of the codebook reads them, all of them."""
    from tessera.config.computing import Dask
    from tessera.data.computing import computing
    from tessera.data.points import choose_places, read_points

    with computing(Dask(), torch.get_num_threads(), [part], part.parent) as at_once:
        places = choose_places([part], None, SEED)
        return read_points([part], places, SEED, size.width, at_once, np.float16)


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
        name=f"{size}, with loading",
        value=seconds,
        unit="s",
        against="seconds allowed",
        other=SECONDS,
        target=1.0,
        bound="at most",
        note="from one file of float16 in the system's cache, not from parts as the stage; "
        + size.rounds(fit),
        peak_bytes=peak_bytes,
    )
    yield Figure(
        name=f"{size}, products",
        value=size.flops(fit) / seconds,
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
    centres = SPREAD * torch.randn(size.clusters, size.width, device=device)
    for start in range(0, size.points, 2**16):
        rows = min(2**16, size.points - start)
        block = torch.randn(rows, size.width, device=device)
        block += centres[torch.randint(size.clusters, (rows,), device=device)]
        points[start : start + rows] = block.half().cpu().numpy()
    return points


def measure(device: str, full: bool) -> Report:
    """K-Means against faiss-cpu, and at full size on a GPU."""
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
