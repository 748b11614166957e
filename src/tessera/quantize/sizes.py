"""How much K-Means holds at a time, and so how much memory it takes: arithmetic, without torch.

Apart from what computes by it, since the plan of a run must know it too and may not import torch.
"""

BLOCK_BYTES = {"cpu": 4 * 2**20, "cuda": 512 * 2**20}
"""Scores that are held at the same time: by each thread, near its cache; on the GPU."""
LEAST_ROWS = 512
"""Of a block: with fewer, a product spends its time on reading the centroids."""
PAGE_BYTES = {"cpu": 64 * 2**20, "cuda": 256 * 2**20}
"""A page of points in float32."""
PINNED_PAGES = 2
"""Pages on the host that a GPU reads, in the type of the points: one is filled, one is sent."""

PLACES_BYTES = 48
"""A point's place, its key and what they are computed by, while points are chosen and read."""
TABLES = 5
"""Copies of the centroids: themselves, their negatives, sums and means, and one in the making."""
HOST_BYTES = 112 * 2**20
"""A page of points in float32, what a step on it takes, blocks of the points as on disk."""
GPU_BYTES = 2560 * 2**20
"""Scores and pages with what steps on them take (2 GiB), CUDA's own."""


def block_rows(clusters: int, device: str) -> int:
    """Points whose scores are held at the same time, on a device of the type "cpu" or "cuda"."""
    return max(LEAST_ROWS, BLOCK_BYTES[device] // (4 * clusters))


def page_rows(width: int, device: str) -> int:
    """Points of a page, on a device of the type "cpu" or "cuda"."""
    return max(1, PAGE_BYTES[device] // (4 * width))


def host_memory(
    points: int, width: int, clusters: int, itemsize: int = 4, threads: int = 1, gpu: bool = False
) -> int:
    """Bytes that `fit_kmeans` and the reading of its points take on the host.

    s N d (the points, held once, at s bytes a number) + 48 N (their places) + 20 K d (tables)
    + 112 MiB + 8 K threads x the rows of a block (scores), or 2 pages (pinned) for a GPU.

    Args:
        points: points, N.
        width: channels, d.
        clusters: centroids, K.
        itemsize: bytes of a number of the points, s.
        threads: threads of the CPU.
        gpu: whether a GPU does the work.
    """
    if gpu:
        working = PINNED_PAGES * PAGE_BYTES["cuda"] * itemsize // 4
    else:
        working = 2 * 4 * clusters * block_rows(clusters, "cpu") * threads
    held = (itemsize * width + PLACES_BYTES) * points
    return held + TABLES * 4 * clusters * width + HOST_BYTES + working


def gpu_memory(width: int, clusters: int) -> int:
    """Bytes that `fit_kmeans` takes of a GPU.

    28 K d (tables, of twice the width where they are multiplied) + 2.5 GiB. The points are not in
    it: they stay there where s N d more are free, else they pass through in pages.

    Args:
        width: channels, d.
        clusters: centroids, K.
    """
    return (TABLES + 2) * 4 * clusters * width + GPU_BYTES
