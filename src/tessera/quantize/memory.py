"""How much memory a K-Means takes, known before anything is read."""

import psutil

from tessera.errors import UserError
from tessera.quantize.cgroups import free_in_groups

PLACES_BYTES = 48
"""A point's indices: its place, its row and faiss's assignment, distance and norm."""
HOST_BYTES = 64 * 2**20
"""Tables of distances, a block of the points as they are on disk."""
PINNED_BYTES = 256 * 2**20
"""What faiss pins of the host's memory for copies to a GPU."""
RESULT_BYTES = 12
"""A point's assignment (int64) and distance (float32) on a GPU."""
GPU_BYTES = 1536 * 2**20 + 512 * 2**20 + 512 * 2**20
"""faiss's scratch memory on a GPU above 8 GB, two pages of points, CUDA's own."""


def kmeans_memory(points: int, width: int, clusters: int, gpu: bool) -> tuple[int, int]:
    """Bytes that `fit_kmeans` and the reading of its points take, on the host and on each GPU.

    Host: 4 N d (the points, held once) + 48 N (indices) + 12 K d (centroids, their sums and the
    result) + 64 MiB, and 256 MiB of pinned memory where there is a GPU.

    GPU: 12 K d (centroids and what replaces them) + 4 K (their norms) + 12 N (results) + 2.5 GiB.
    The points stay on the host and pass through the GPU in pages, so they are not in the sum.

    Args:
        points: points, N.
        width: channels, d.
        clusters: centroids, K.
        gpu: whether GPUs do the work.

    Returns:
        Host bytes and bytes of each GPU (0 without).
    """
    table = 12 * clusters * width
    host = 4 * points * width + PLACES_BYTES * points + table + HOST_BYTES
    if not gpu:
        return host, 0
    return host + PINNED_BYTES, table + 4 * clusters + RESULT_BYTES * points + GPU_BYTES


def require_memory(points: int, width: int, clusters: int, gpu: bool) -> None:
    """Refuses a K-Means for which there is not enough memory now.

    On the host that is the least of what the machine has free and what the job may still take.

    Args:
        points: points, N.
        width: channels, d.
        clusters: centroids, K.
        gpu: whether GPUs do the work; the fullest of those that torch sees counts.

    Raises:
        UserError: says what is needed, what is free and what to do.
    """
    host, device = kmeans_memory(points, width, clusters, gpu)
    what = f"K-Means of {points} points of {width} channels into {clusters} clusters"
    free = min(float(psutil.virtual_memory().available), free_in_groups())
    if host > free:
        raise UserError(
            f"{what} takes {host / 1e9:.2f} GB of memory and {free / 1e9:.2f} GB are free: lower "
            "`points` of the features, or run it where there is more or the job is given more"
        )
    if gpu:
        free = _free_on_gpus()
        if device > free:
            raise UserError(
                f"{what} takes {device / 1e9:.2f} GB of each GPU and {free / 1e9:.2f} GB are free: "
                "end what else runs there, or run it with --device cpu"
            )


def _free_on_gpus() -> float:
    import torch  # only here: without a GPU the stage is spared the seconds of its import

    if not torch.cuda.is_available():  # faiss sees a GPU that this torch cannot ask
        return float("inf")
    return min(torch.cuda.mem_get_info(index)[0] for index in range(torch.cuda.device_count()))
