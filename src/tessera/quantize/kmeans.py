"""K-Means over features by Lloyd's algorithm, with nothing left silent.

The same code runs on a CPU and on a GPU. All points that come in are used, so whoever calls decides
the sample; faiss, whose draws these are, would keep 256 a centroid and say so on the terminal only.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tessera.errors import UserError
from tessera.quantize.assign import closest, table_of
from tessera.quantize.draws import first_points, split_empty
from tessera.quantize.memory import has_room
from tessera.quantize.pages import Pages

BLOCK = 2**15
"""Points looked at together in the search for what is not finite."""


@dataclass(frozen=True)
class KMeansResult:
    """Fitted centroids and what tells whether the fit is healthy.

    Attributes:
        centroids: float32 [K, d].
        objective: float64 [rounds], sum of squared distances at each iteration's assignment; fewer
            rounds than asked for where nothing moves any more.
        counts: int64 [K], points whose nearest of the final centroids is this one.
        inertia: sum of squared distances to the final centroids.
        splits: int64 [rounds], empty clusters that were refilled by splitting a large one.
    """

    centroids: NDArray[np.float32]
    objective: NDArray[np.float64]
    counts: NDArray[np.int64]
    inertia: float
    splits: NDArray[np.int64]

    @property
    def usage_bits(self) -> float:
        """Entropy of the cluster sizes in bits; log2(K) if all are equally large."""
        return usage_entropy(self.counts)

    @property
    def empty(self) -> int:
        """Clusters that no point falls into."""
        return int((self.counts == 0).sum())

    def small(self, fewer_than: int) -> int:
        """Clusters with fewer points than this, the empty ones among them."""
        return int((self.counts < fewer_than).sum())


def usage_entropy(counts: NDArray[np.int64]) -> float:
    """Entropy in bits of how often each entry is used; 2 to its power is the perplexity."""
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log2(share)).sum()) + 0.0  # + 0.0 turns -0.0 into 0.0


def fit_kmeans(
    points: NDArray[np.floating],
    clusters: int,
    iterations: int = 20,
    seed: int = 1234,
    device: str = "cpu",
) -> KMeansResult:
    """Lloyd's algorithm from `clusters` distinct random points.

    Distances are float32 products; see `table_of` for those of a GPU. On one machine the same seed
    gives the same centroids, on a CPU with any number of threads.

    Args:
        points: float16 or float32 [N, d]; all of them are used, and none is copied on the host.
        clusters: centroids, K.
        iterations: rounds of assignment and update, at most.
        seed: chooses the first centroids, those that faiss chooses by it; 1234 is its own default.
        device: "cpu", or the GPU that does the work.

    Raises:
        UserError: fewer points than clusters, or a value that is not finite.
    """
    if points.ndim != 2:
        raise ValueError(f"points must be [N, d], got {points.shape}")
    count, width = points.shape
    if count < clusters:
        raise UserError(
            f"K-Means got {count} points for {clusters} clusters: keep more feature points or ask "
            "for fewer clusters"
        )
    keep = has_room(count, width, clusters, points.itemsize, device)
    pages = Pages(points, device, keep)
    squares = _squares(pages)
    halved = points.itemsize == 2 and pages.device.type == "cuda"
    first = points[first_points(count, clusters, seed)].astype(np.float32)
    centroids = torch.from_numpy(first).to(device)
    objective, splits = [], []
    for _ in range(iterations):
        found = _assign(pages, centroids, halved)
        objective.append(max(0.0, squares + 2 * found.score))
        moved = found.means()
        splits.append(split_empty(moved, found.counts))
        still = torch.equal(moved, centroids)
        centroids = moved
        if still:  # what was found of these centroids holds for ever
            break
    else:
        found = _assign(pages, centroids, halved)
    return KMeansResult(
        centroids=centroids.cpu().numpy(),
        objective=np.array(objective, np.float64),
        counts=found.counts,
        inertia=max(0.0, squares + 2 * found.score),
        splits=np.array(splits, np.int64),
    )


@dataclass(frozen=True)
class _Assignment:
    """What a round finds of all points.

    Attributes:
        score: sum over points of half the squared distance, less half of |f|^2.
        counts: int64 [K], points of each centroid.
        sums: float32 [K, d], their sums, on the device.
    """

    score: float
    counts: NDArray[np.int64]
    sums: Tensor

    def means(self) -> Tensor:
        """The mean of each centroid's points [K, d]; 0 where it has none."""
        counts = torch.from_numpy(self.counts.clip(1)).to(self.sums.device)
        return self.sums / counts[:, None]


def _assign(pages: Pages, centroids: Tensor, halved: bool) -> _Assignment:
    """Assigns all points to centroids [K, d] and sums them up."""
    table = table_of(centroids, halved)
    sums = torch.zeros_like(centroids)
    counts = torch.zeros(len(centroids), dtype=torch.long, device=sums.device)
    score = torch.zeros((), dtype=torch.float64, device=sums.device)
    for page in pages:
        index, scores = closest(page, table)
        with _deterministic():
            sums.index_add_(0, index, page)
            counts.index_add_(0, index, torch.ones_like(index))
        score += scores.sum(dtype=torch.float64)
    return _Assignment(float(score), counts.cpu().numpy(), sums)


def _squares(pages: Pages) -> float:
    """The sum of |f|^2 over all points, which are finite."""
    # By way of the norms, since torch squares and sums them in one pass.
    norms = [torch.linalg.vector_norm(page, dim=1) for page in pages]
    total = float(torch.cat(norms).double().square().sum())
    if not np.isfinite(total):
        check_finite(pages.points)
    return total


@contextmanager
def _deterministic() -> Iterator[None]:
    """Sums in a fixed order; a GPU's default adds in the order in which its threads come by."""
    before = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("error")
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before)


def check_finite(points: NDArray[np.floating], block: int = BLOCK) -> None:
    """Refuses NaN and infinity.

    Args:
        points: [N, d].
        block: points looked at together; changes no result.

    Raises:
        UserError: names the first point that holds one, and how many do.
    """
    broken, first = 0, -1
    for start in range(0, len(points), block):
        rows = np.flatnonzero(~np.isfinite(points[start : start + block]).all(axis=1))
        if rows.size and first < 0:
            first = start + int(rows[0])
        broken += rows.size
    if broken:
        column = int(np.flatnonzero(~np.isfinite(points[first]))[0])
        raise UserError(
            f"K-Means got NaN or infinity in {broken} of {len(points)} feature points, first "
            f"in point {first}, channel {column}: check the encoder's weights, or extract the "
            "features in float32"
        )
