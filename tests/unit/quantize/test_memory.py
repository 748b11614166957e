"""Whether there is enough memory for a K-Means, and whether it takes what is said."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from tessera.errors import UserError
from tessera.quantize.memory import has_room, require_memory
from tessera.quantize.sizes import gpu_memory, host_memory

FULL = {"points": 256 * 16_384, "width": 1024, "clusters": 16_384}
"""K-Means of DiGIT's larger codebook: faiss's 256 points a centroid."""
ASKED = FULL | {"itemsize": 4, "threads": 1}


@pytest.fixture
def machine(monkeypatch):
    """A function that sets the memory that is free, in bytes: host, GPU, the job's part."""

    def free(host: float, gpu: float = 0.0, job: float = float("inf")) -> None:
        module = "tessera.quantize.memory.psutil.virtual_memory"
        monkeypatch.setattr(module, lambda: SimpleNamespace(available=host))
        monkeypatch.setattr("tessera.quantize.memory.free_in_groups", lambda: job)
        monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (gpu, 0))

    return free


def test_too_little_memory(machine):
    """Said with both figures, the cure and before anything is read."""
    machine(16e9)
    with pytest.raises(UserError, match=r"takes 17\.\d\d GB of memory and 16\.00 GB .* `points`"):
        require_memory(**ASKED, device="cpu")
    machine(17e9 + 2e9)
    require_memory(**ASKED, device="cpu")


def test_too_little_memory_for_the_job(machine):
    """A scheduler gave the job a part of a large node."""
    machine(512e9, job=16e9)
    with pytest.raises(UserError, match=r"and 16\.00 GB are free: .* or the job is given more"):
        require_memory(**ASKED, device="cpu")
    machine(512e9, job=19e9)
    require_memory(**ASKED, device="cpu")


def test_too_little_memory_on_a_gpu(machine):
    """Refused where not even pages fit; the CPU needs none."""
    machine(64e9, 1e9)
    with pytest.raises(UserError, match=r"GB of the GPU and 1\.00 GB are free: .* --device cpu"):
        require_memory(**ASKED, device="cuda")
    require_memory(**ASKED, device="cpu")
    machine(64e9, 4e9)
    require_memory(**ASKED, device="cuda")


def test_a_gpu_needs_pinned_pages_and_no_scores(machine):
    """16 threads of the CPU, which have nothing to do, change nothing."""
    least = host_memory(**ASKED, gpu=True)
    many = ASKED | {"threads": 16}
    assert host_memory(**many) > least
    machine(least, 4e9)
    require_memory(**many, device="cuda")
    machine(least - 1, 4e9)
    with pytest.raises(UserError, match="GB of memory"):
        require_memory(**many, device="cuda")


def test_points_stay_on_a_gpu_that_has_room(machine):
    """Beside what the work takes; never on the CPU, where they are."""
    points = 4 * 1024 * 4_194_304
    room = points + gpu_memory(FULL["width"], FULL["clusters"])
    machine(64e9, room)
    assert has_room(**FULL, itemsize=4, device="cuda")
    assert not has_room(**FULL, itemsize=4, device="cpu")
    machine(64e9, room - 1)
    assert not has_room(**FULL, itemsize=4, device="cuda")
    assert has_room(**FULL, itemsize=2, device="cuda")


MEASURE = """
import re, sys
from pathlib import Path
import numpy as np
import torch
from tessera.quantize.kmeans import fit_kmeans
torch.set_num_threads(2)
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
    size = {"points": 1_200_000, "width": 128, "clusters": 64}
    command = [sys.executable, "-c", MEASURE, *map(str, size.values())]
    made = subprocess.run(command, capture_output=True, text=True, check=True)
    measured = int(made.stdout)
    said = host_memory(**size, threads=2)
    assert 0.7 * said < measured < said
