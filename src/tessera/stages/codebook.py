"""K-Means over sampled features: the centroids are the vocabulary of the semantic tokens.

Writes `centroids.npy`, float32 [K, width], the form in which DiGIT publishes its codebooks. Runs on
the GPUs that faiss sees (the package faiss-gpu-cu12 in place of faiss-cpu), or on the CPU. dask
gathers the points, on threads or on a cluster.
"""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import faiss
import numpy as np

from tessera.config.tokenizers import FittedCodebook
from tessera.data.computing import computing
from tessera.data.points import choose_places, read_points
from tessera.errors import UserError
from tessera.io.codebooks import write_codebook
from tessera.quantize.kmeans import count_gpus, fit_kmeans
from tessera.quantize.memory import kmeans_memory, require_memory
from tessera.stages.job import Job, add_dask, log, parser, part_file, run

STAGE = "codebook"
TINY = 39
"""faiss warns below 39 points a centroid; a smaller cluster is hardly more than its noise."""


def work(job: Job, asked: str) -> None:
    """Fits the centroids.

    Args:
        job: the running job.
        asked: the device of the command line: auto, cpu or cuda.
    """
    arguments = job.arguments
    settings = job.settings(FittedCodebook)
    gpus = choose_gpus(asked)
    cards = job.inputs("features", arguments.features, "features")
    points = sample(job, settings, cards[0]["results"]["width"], gpus)
    count, width = points.shape
    faiss.omp_set_num_threads(arguments.threads)
    fitted = fit_kmeans(points, settings.clusters, settings.iterations, settings.seed, gpu=gpus > 0)
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
    job.finish(
        arguments.card, [file], results, run={"gpus": gpus, "scheduler": arguments.dask.scheduler}
    )


def choose_gpus(asked: str) -> int:
    """GPUs that K-Means runs on: all that faiss sees, unless the CPU was asked for.

    Args:
        asked: auto, cpu or cuda.

    Raises:
        UserError: a GPU was asked for and faiss sees none.
    """
    found = 0 if asked == "cpu" else count_gpus()
    if asked.startswith("cuda") and not found:
        raise UserError(
            "--device cuda was asked for but faiss sees no GPU: install faiss-gpu-cu12 in place of "
            "faiss-cpu (docs/quickstart.md says how), or use --device cpu"
        )
    return found


def sample(job: Job, settings: FittedCodebook, width: int, gpus: int) -> np.ndarray:
    """The points that K-Means reads, by image, view and token.

    K-Means begins from some of the points, drawn by their rows: the order must not depend on how
    the work was cut into parts and batches.

    Args:
        job: the running job.
        settings: says how many points there shall be.
        width: channels of a point.
        gpus: GPUs that do the K-Means.

    Returns:
        float32 [points, width].

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
        host, device = kmeans_memory(count, width, settings.clusters, gpus > 0)
        log.info(
            "%d points of %d channels on %s: takes about %.2f GB of memory%s",
            count, width, f"{gpus} GPUs" if gpus else "the CPU", host / 1e9,
            f" and {device / 1e9:.2f} GB of each GPU" if gpus else "",
        )  # fmt: skip
        require_memory(count, width, settings.clusters, gpus > 0)
        return read_points(parts, places, seed, width, at_once)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the stage from the command line."""
    arguments = parser(STAGE, __doc__)
    add_dask(arguments)
    arguments.add_argument("--features", type=Path, nargs="+", required=True, help="part cards")
    parsed = arguments.parse_args(argv)
    # The runner knows torch's devices alone, and torch is not used here.
    return run(STAGE, parsed, partial(work, asked=parsed.device), computes=False)


if __name__ == "__main__":
    sys.exit(main())
