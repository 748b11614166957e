"""The memory of a K-Means by arithmetic."""

from tessera.quantize.sizes import block_rows, gpu_memory, host_memory, page_rows

FULL = {"points": 256 * 16_384, "width": 1024, "clusters": 16_384}
"""K-Means of DiGIT's larger codebook: faiss's 256 points a centroid."""


def test_rows_of_a_block() -> None:
    """4 MiB of scores for each thread, but never fewer rows than a product needs."""
    assert block_rows(1024, "cpu") == 1024
    assert block_rows(8192, "cpu") == 512
    assert block_rows(8192, "cuda") == 16_384


def test_rows_of_a_page() -> None:
    """64 and 256 MiB of float32, but a point at least."""
    assert page_rows(1024, "cpu") == 16_384
    assert page_rows(1024, "cuda") == 65_536
    assert page_rows(2**30, "cpu") == 1


def test_full_size_fits_one_gpu_of_80_gb() -> None:
    """The points alone are 17.18 GB on the host; the GPU holds the centroids and pages."""
    host, gpu = host_memory(**FULL), gpu_memory(1024, 16_384)
    points = 4_194_304 * 1024 * 4
    centroids = 16_384 * 1024 * 4
    assert 7 * centroids < gpu < 4e9 < 80e9
    assert points < host < 1.06 * points


def test_points_of_16_bits_take_half() -> None:
    """Of the host."""
    half, whole = (host_memory(**FULL, itemsize=size) for size in (2, 4))
    assert whole - half == 4_194_304 * 1024 * 2


def test_each_thread_has_its_scores() -> None:
    """Of 512 points and 16,384 centroids, and a copy in the making."""
    one, four = (host_memory(**FULL, threads=threads) for threads in (1, 4))
    assert four - one == 3 * 2 * 512 * 16_384 * 4


def test_a_gpu_reads_pinned_pages() -> None:
    """Two of 256 MiB in float32, of half that in float16; and the CPU has no scores."""
    for itemsize, pinned in ((4, 2 * 256 * 2**20), (2, 2 * 128 * 2**20)):
        for threads in (1, 16):
            cpu, gpu = (
                host_memory(**FULL, itemsize=itemsize, threads=threads, gpu=gpu)
                for gpu in (False, True)
            )
            assert gpu - cpu == pinned - 2 * 4 * 16_384 * 512 * threads
