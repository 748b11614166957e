"""The memory of a K-Means."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from tessera.errors import UserError
from tessera.quantize.memory import kmeans_memory, require_memory

FULL = {"points": 256 * 16_384, "width": 1024, "clusters": 16_384}
"""K-Means of DiGIT's larger codebook: faiss's 256 points a centroid."""


def test_full_size_fits_one_gpu_of_80_gb():
    """The points alone are 17.18 GB on the host; the GPU holds the centroids and pages."""
    host, device = kmeans_memory(**FULL, gpu=True)
    points = 4_194_304 * 1024 * 4
    centroids = 16_384 * 1024 * 4
    assert centroids + 1.5 * 2**30 < device < 4e9 < 80e9  # 1.5 GiB is faiss's own scratch memory
    assert points < host < 1.05 * points


def test_without_a_gpu():
    """Nothing of a GPU is counted."""
    host, device = kmeans_memory(**FULL, gpu=False)
    assert device == 0
    assert host < kmeans_memory(**FULL, gpu=True)[0]


@pytest.fixture
def machine(monkeypatch):
    """A function that sets the memory that is free, in bytes: host, each GPU, the job's part."""

    def free(host: float, *gpus: float, job: float = float("inf")) -> None:
        module = "tessera.quantize.memory.psutil.virtual_memory"
        monkeypatch.setattr(module, lambda: SimpleNamespace(available=host))
        monkeypatch.setattr("tessera.quantize.memory.free_in_groups", lambda: job)
        monkeypatch.setattr("torch.cuda.is_available", lambda: bool(gpus))
        monkeypatch.setattr("torch.cuda.device_count", lambda: len(gpus))
        monkeypatch.setattr("torch.cuda.mem_get_info", lambda index: (gpus[index], 0))

    return free


def test_too_little_memory(machine):
    """Said with both figures, the cure and before anything is read."""
    machine(16e9)
    with pytest.raises(UserError, match=r"takes 17\.\d\d GB of memory and 16\.00 GB .* `points`"):
        require_memory(**FULL, gpu=False)
    machine(17e9 + 2e9)
    require_memory(**FULL, gpu=False)


def test_too_little_memory_for_the_job(machine):
    """A scheduler gave the job a part of a large node."""
    machine(512e9, job=16e9)
    with pytest.raises(UserError, match=r"and 16\.00 GB are free: .* or the job is given more"):
        require_memory(**FULL, gpu=False)
    machine(512e9, job=19e9)
    require_memory(**FULL, gpu=False)


def test_too_little_memory_on_a_gpu(machine):
    """The fullest GPU counts, since each holds all centroids."""
    machine(64e9, 80e9, 1e9)
    with pytest.raises(UserError, match=r"GB of each GPU and 1\.00 GB are free: .* --device cpu"):
        require_memory(**FULL, gpu=True)
    machine(64e9, 80e9, 80e9)
    require_memory(**FULL, gpu=True)
    require_memory(**FULL, gpu=False)


MEASURE = """
import re, sys
from pathlib import Path
import numpy as np
from tessera.quantize.kmeans import fit_kmeans
def peak():  # of this process: getrusage would begin with that of the one that started it
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
points, width, clusters = map(int, sys.argv[1:])
small = np.random.default_rng(0).random((1000, width), np.float32)
fit_kmeans(small, 10, iterations=1)  # the libraries are loaded, their threads run
before = peak()
array = np.random.default_rng(0).random((points, width), np.float32)
fit = fit_kmeans(array, clusters, iterations=2)
assert fit.counts.sum() == points
print(peak() - before, flush=True)
"""


@pytest.mark.slow
def test_a_measured_run():
    """A fit takes at most what the formula says, not much less, and no second copy of the points.

    The indices that the stage keeps, and that the formula counts, are not in this run.
    """
    size = {"points": 600_000, "width": 128, "clusters": 64}
    command = [sys.executable, "-c", MEASURE, *map(str, size.values())]
    made = subprocess.run(command, capture_output=True, text=True, check=True)
    measured = int(made.stdout)
    said, _ = kmeans_memory(**size, gpu=False)
    assert 0.7 * said < measured < said
