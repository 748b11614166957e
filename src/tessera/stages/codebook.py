"""K-Means over sampled features: the centroids are the vocabulary of the semantic tokens.

Writes `centroids.npy`, float32 [K, width], the form in which DiGIT publishes its codebooks. Runs on
the GPUs that faiss sees (the package faiss-gpu-cu12 in place of faiss-cpu), or on the CPU.
"""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import faiss
import numpy as np

from tessera.config.tokenizers import FittedCodebook
from tessera.errors import UserError
from tessera.io.codebooks import write_codebook
from tessera.io.parts import open_parts
from tessera.quantize.kmeans import count_gpus, fit_kmeans
from tessera.quantize.memory import kmeans_memory, require_memory
from tessera.stages.job import Job, log, parser, part_file, run

if TYPE_CHECKING:
    import dask.array as da

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
    job.inputs("features", arguments.features, "features")
    arrays, _ = open_parts([part_file(card) for card in arguments.features])
    lazy = arrays["features"]
    count, width = lazy.shape
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
    points = in_order(lazy, arrays["place"].compute())
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
    job.finish(arguments.card, [file], results, run={"gpus": gpus})


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
    parsed = arguments.parse_args(argv)
    # The runner knows torch's devices alone, and torch is not used here.
    return run(STAGE, parsed, partial(work, asked=parsed.device), computes=False)


if __name__ == "__main__":
    sys.exit(main())
