"""How much memory a K-Means takes, known before anything is read."""

import psutil
import torch

from tessera.errors import UserError
from tessera.quantize.assign import block_rows
from tessera.quantize.cgroups import free_in_groups

PLACES_BYTES = 48
"""A point's place, its key and what they are computed by, while points are chosen and read."""
TABLES = 5
"""Copies of the centroids: themselves, their negatives, sums and means, and one in the making."""
HOST_BYTES = 112 * 2**20
"""A page of points in float32, what a step on it takes, blocks of the points as on disk."""
GPU_BYTES = 2560 * 2**20
"""Scores and pages with what steps on them take (2 GiB), CUDA's own."""


def kmeans_memory(
    points: int, width: int, clusters: int, itemsize: int = 4, threads: int = 1
) -> tuple[int, int]:
    """Bytes that `fit_kmeans` and the reading of its points take, on the host and on a GPU.

    Host: s N d (the points, held once, at s bytes a number) + 48 N (their places) + 20 K d (tables)
    + 112 MiB + 8 K threads x the rows of a block (scores).

    GPU: 28 K d (tables, of twice the width where they are multiplied) + 2.5 GiB. The points are not
    in it: they stay there where s N d more are free, else they pass through in pages.

    Args:
        points: points, N.
        width: channels, d.
        clusters: centroids, K.
        itemsize: bytes of a number of the points, s.
        threads: threads of the CPU.
    """
    table = 4 * clusters * width
    scores = 2 * 4 * clusters * block_rows(clusters, "cpu") * threads
    host = (itemsize * width + PLACES_BYTES) * points + TABLES * table + HOST_BYTES + scores
    return host, (TABLES + 2) * table + GPU_BYTES


def require_memory(
    points: int, width: int, clusters: int, itemsize: int, threads: int, device: str
) -> None:
    """Refuses a K-Means for which there is not enough memory now.

    On the host that is the least of what the machine has free and what the job may still take.

    Args:
        points: points, N.
        width: channels, d.
        clusters: centroids, K.
        itemsize: bytes of a number of the points.
        threads: threads of the CPU.
        device: "cpu", or the GPU that does the work.

    Raises:
        UserError: says what is needed, what is free and what to do.
    """
    host, gpu = kmeans_memory(points, width, clusters, itemsize, threads)
    what = f"K-Means of {points} points of {width} channels into {clusters} clusters"
    free = min(float(psutil.virtual_memory().available), free_in_groups())
    if host > free:
        raise UserError(
            f"{what} takes {host / 1e9:.2f} GB of memory and {free / 1e9:.2f} GB are free: lower "
            "`points` of the features, or run it where there is more or the job is given more"
        )
    if device != "cpu" and gpu > (free := torch.cuda.mem_get_info(device)[0]):
        raise UserError(
            f"{what} takes {gpu / 1e9:.2f} GB of the GPU and {free / 1e9:.2f} GB are free: "
            "end what else runs there, or run it with --device cpu"
        )


def has_room(points: int, width: int, clusters: int, itemsize: int, device: str) -> bool:
    """Whether a GPU can hold the points, too; False on the CPU, whose memory they are in."""
    if torch.device(device).type == "cpu":
        return False
    held = itemsize * width * points
    gpu = kmeans_memory(points, width, clusters)[1]
    return bool(held + gpu <= torch.cuda.mem_get_info(device)[0])
