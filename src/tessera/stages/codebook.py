"""K-Means over sampled features: the centroids are the vocabulary of the semantic tokens.

Writes `centroids.npy`, float32 [K, width], the form in which DiGIT publishes its codebooks.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tessera.config.tokenizers import Codebook
from tessera.errors import UserError
from tessera.io.files import whole_file
from tessera.io.parts import open_parts
from tessera.quantize.kmeans import fit_kmeans
from tessera.stages.job import Job, log, parser, part_file, run

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
    points = lazy.astype(np.float32).compute()
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


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the stage from the command line."""
    arguments = parser(STAGE, __doc__)
    arguments.add_argument("--features", type=Path, nargs="+", required=True, help="part cards")
    return run(STAGE, arguments.parse_args(argv), work, computes=False)


if __name__ == "__main__":
    sys.exit(main())
