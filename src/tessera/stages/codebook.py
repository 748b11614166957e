"""K-Means over sampled features: the centroids are the vocabulary of the semantic tokens.

Writes `centroids.npy`, float32 [K, width], the form in which DiGIT publishes its codebooks.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tessera.config.tokenizers import Codebook
from tessera.errors import UserError
from tessera.io.files import whole_file
from tessera.io.parts import open_parts
from tessera.quantize.kmeans import fit_kmeans
from tessera.stages.job import Job, log, parser, part_file, run

if TYPE_CHECKING:
    import dask.array as da

STAGE = "codebook"
TINY = 39
"""faiss warns below 39 points a centroid; a smaller cluster is hardly more than its noise."""


def work(job: Job) -> None:
    """Fits the centroids."""
    arguments = job.arguments
    settings = job.settings(Codebook)
    job.inputs("features", arguments.features, "features")
    arrays, _ = open_parts([part_file(card) for card in arguments.features])
    lazy = arrays["features"]
    count, width = lazy.shape
    if count < settings.clusters:
        raise UserError(
            f"codebook {arguments.card.parent.name}: {count} feature points are fewer than "
            f"{settings.clusters} clusters: raise `points` of the features, or lower `clusters`"
        )
    log.info(
        "%d points of %d channels, %.0f MB in float32", count, width, count * width * 4 / 2**20
    )
    points = in_order(lazy, arrays["place"].compute())
    fitted = fit_kmeans(points, settings.clusters, settings.iterations, settings.seed)
    for iteration, value in enumerate(fitted.objective):
        log.info("iteration %d of %d  objective %.6g", iteration + 1, settings.iterations, value)
    results = {
        "clusters": settings.clusters,
        "width": width,
        "points": count,
        "objective": [float(value) for value in fitted.objective],
        "inertia": fitted.inertia,
        "empty": fitted.empty,
        "tiny": fitted.small(TINY) - fitted.empty,
        "used": settings.clusters - fitted.empty,
        "entropy_bits": fitted.usage_bits,
        "counts": fitted.counts.tolist(),
    }
    log.info(
        "%d points used, %d empty and %d tiny clusters (below %d points), usage entropy %.2f of "
        "%.2f bits", count, results["empty"], results["tiny"], TINY, fitted.usage_bits,
        np.log2(settings.clusters),
    )  # fmt: skip
    file = arguments.card.parent / "centroids.npy"
    with whole_file(file) as temporary, temporary.open("wb") as stream:
        np.save(stream, fitted.centroids, allow_pickle=False)
    job.finish(arguments.card, [file], results)


def in_order(features: "da.Array", places: np.ndarray) -> np.ndarray:
    """The points by image, view and token, however the work was cut into parts and batches.

    K-Means begins from some of the points, drawn by their rows.

    Args:
        features: [N, width], lazy.
        places: int64 [N], where each point comes from.

    Returns:
        float32 [N, width].

    Raises:
        UserError: a place comes twice, so a part was given twice.
    """
    order = np.argsort(places)
    if (np.diff(places[order]) == 0).any():
        raise UserError(
            "the parts of the features hold some points twice: give each part of one split once"
        )
    rows = np.empty_like(order)
    rows[order] = np.arange(len(order))
    points = np.empty(features.shape, np.float32)
    start = 0
    for block in features.blocks.ravel():  # a block at a time: two copies need not fit in memory
        read = block.compute()
        points[rows[start : start + len(read)]] = read
        start += len(read)
    return points


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the stage from the command line."""
    arguments = parser(STAGE, __doc__)
    arguments.add_argument("--features", type=Path, nargs="+", required=True, help="part cards")
    return run(STAGE, arguments.parse_args(argv), work, computes=False)


if __name__ == "__main__":
    sys.exit(main())
