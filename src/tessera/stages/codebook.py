"""K-Means over sampled features: the centroids are the vocabulary of the semantic tokens.

Writes `centroids.npy`, float32 [K, width], the form in which DiGIT publishes its codebooks. Runs on
one GPU, or on the CPU. dask gathers the points, on threads or on a cluster.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tessera.config.tokenizers import Features, FittedCodebook
from tessera.data.computing import computing
from tessera.data.points import choose_places, read_points
from tessera.errors import UserError
from tessera.io.codebooks import write_codebook
from tessera.quantize.kmeans import fit_kmeans
from tessera.quantize.memory import require_memory
from tessera.quantize.sizes import gpu_memory, host_memory
from tessera.stages.job import Job, add_dask, log, parse_settings, parser, part_file, run

STAGE = "codebook"
TINY = 39
"""faiss warns below 39 points a centroid; a smaller cluster is hardly more than its noise."""


def work(job: Job) -> None:
    """Fits the centroids."""
    arguments = job.arguments
    settings = job.settings(FittedCodebook)
    cards = job.inputs("features", arguments.features, "features")
    stored = parse_settings(Features, cards[0]["node"])
    points = sample(job, settings, cards[0]["results"]["width"], np.dtype(stored.dtype))
    count, width = points.shape
    fitted = fit_kmeans(
        points, settings.clusters, settings.iterations, settings.seed, arguments.device
    )
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
    write_codebook(file, fitted.centroids)
    job.finish(arguments.card, [file], results, run={"scheduler": arguments.dask.scheduler})


def sample(
    job: Job, settings: FittedCodebook, width: int, dtype: np.dtype[np.floating]
) -> NDArray[np.floating]:
    """The points that K-Means reads, by image, view and token.

    K-Means begins from some of the points, drawn by their rows: the order must not depend on how
    the work was cut into parts and batches.

    Args:
        job: the running job.
        settings: says how many points there shall be.
        width: channels of a point.
        dtype: of the points on disk; they are held so.

    Returns:
        [points, width].

    Raises:
        UserError: there are fewer points than clusters, one comes twice, or the memory is short.
    """
    arguments, seed = job.arguments, settings.seed
    parts = [part_file(card) for card in arguments.features]
    logs = arguments.card.parent.parent.parent / "logs" / "dask"
    with computing(arguments.dask, arguments.threads, parts, logs) as at_once:
        places = choose_places(parts, settings.points, seed)
        count = len(places)
        if count < settings.clusters:
            raise UserError(
                f"codebook {arguments.card.parent.name}: {count} feature points are fewer than "
                f"{settings.clusters} clusters: raise `points` of the features, or lower `clusters`"
            )
        sizes = (count, width, settings.clusters, dtype.itemsize, arguments.threads)
        on_cpu = arguments.device == "cpu"
        host, gpu = host_memory(*sizes, gpu=not on_cpu), gpu_memory(width, settings.clusters)
        log.info(
            "%d points of %d channels on the %s: takes about %.2f GB of memory%s",
            count, width, "CPU" if on_cpu else "GPU", host / 1e9,
            "" if on_cpu else f" and {gpu / 1e9:.2f} GB of the GPU, or "
            f"{(gpu + count * width * dtype.itemsize) / 1e9:.2f} GB to keep the points there",
        )  # fmt: skip
        require_memory(*sizes, arguments.device)
        return read_points(parts, places, seed, width, at_once, dtype)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the stage from the command line."""
    arguments = parser(STAGE, __doc__)
    add_dask(arguments)
    arguments.add_argument("--features", type=Path, nargs="+", required=True, help="part cards")
    return run(STAGE, arguments.parse_args(argv), work)


if __name__ == "__main__":
    sys.exit(main())
