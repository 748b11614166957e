"""K-Means: assignment, inertia and objective."""

from collections.abc import Iterator

import faiss
import numpy as np
import torch

from tessera.quantize.assign import nearest
from tessera.quantize.kmeans import KMeansResult, fit_kmeans
from tests.parity.reference_set import ReferenceSet
from tests.parity.registry import EXACT, Measured, Quantity, gap, relative, same, source

FILE = "kmeans.npz"
POINTS_A_CENTROID = 256  # faiss draws a sample above this many; the project has it drawn before
SEED = 1234
DISTANCE = 1e-4
# faiss of another version may start from other centroids. 20 fits spread by 5 %, so means of 20
# differ by less than 5 % (3 standard errors).
SPREAD = 0.05


def sample(points: np.ndarray, clusters: int, seed: int) -> np.ndarray:
    """The points that faiss keeps of these by itself."""
    most = clusters * POINTS_A_CENTROID
    if len(points) <= most:
        return points
    order = np.empty(len(points), dtype=np.int32)
    faiss.rand_perm(faiss.swig_ptr(order), len(points), seed)
    return np.ascontiguousarray(points[order[:most]])


@source
def kmeans_quantities(reference: ReferenceSet) -> Iterator[Quantity]:
    """Comparisons of inertia, not of centroids: those depend on faiss's version."""

    def stored(key: str) -> np.ndarray:
        return reference.numpy(FILE, key)

    def clusters() -> int:
        return len(stored("faiss_centroids"))

    def rounds() -> int:
        return len(stored("faiss_obj")) if reference.has(f"{FILE}:faiss_obj") else 20

    def assignment() -> Measured:
        points, table = (torch.from_numpy(stored(k).copy()) for k in ("x", "faiss_centroids"))
        return same(nearest(points, table), stored("assign_to_faiss_centroids"))

    def mean_distance(table: np.ndarray) -> float:
        """The mean squared distance of all points to the nearest of these centroids."""
        points = torch.from_numpy(stored("x").copy())
        own = table[nearest(points, torch.from_numpy(table.copy()))].astype(np.float64)
        return float(np.square(stored("x") - own).sum(1).mean())

    def inertia() -> Measured:
        return relative(mean_distance(stored("faiss_centroids")), stored("faiss_inertia"))

    def fit(points: np.ndarray, seed: int) -> KMeansResult:
        return fit_kmeans(points, clusters(), rounds(), seed)

    def objective() -> Measured:
        found = fit(sample(stored("x"), clusters(), SEED), SEED).objective
        wanted = stored("faiss_obj")
        text = gap(found, wanted).text if found.shape == wanted.shape else "other rounds"
        error = abs(found[-1] / wanted[-1] - 1)
        return Measured(float(error), f"{error:.1e} relative at the end; all rounds: {text}")

    def seeds(key: str) -> Measured:
        wanted, points, found = stored(key), stored("x"), []
        for seed in range(len(wanted)):
            part = points if key.endswith("all_points") else sample(points, clusters(), seed)
            found.append(mean_distance(fit(part, seed).centroids))
        each = relative(np.array(found), wanted)
        error = abs(float(np.mean(found)) / float(wanted.mean()) - 1)
        return Measured(error, f"mean {error:.1e} relative; each seed: {each.text}")

    base = (f"{FILE}:x", f"{FILE}:faiss_centroids")
    for title, key, bound, measure in (
        ("assignment", "assign_to_faiss_centroids", EXACT, assignment),
        ("inertia of given centroids", "faiss_inertia", DISTANCE, inertia),
        ("objective", "faiss_obj", SPREAD, objective),
        ("inertia over seeds", "faiss_inertia_20_seeds", SPREAD,
         lambda: seeds("faiss_inertia_20_seeds")),
        ("inertia over seeds", "faiss_inertia_20_seeds_all_points", SPREAD,
         lambda: seeds("faiss_inertia_20_seeds_all_points")),
    ):  # fmt: skip
        yield Quantity(f"K-Means {title} ({key})", (f"{FILE}:{key}", *base), bound, measure)
