"""The stages that compute with dask, on a cluster of processes: same results, little memory."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import dask
import numpy as np
import pytest

from tessera.config.computing import Dask
from tessera.data import computing as computing_module
from tessera.data.computing import computing
from tessera.data.counts import count_codes
from tessera.errors import UserError
from tessera.io.parts import write_part

distributed = pytest.importorskip("distributed", reason="needs the extra `cluster`")
pytestmark = pytest.mark.slow

LIMIT = 320 * 2**20
"""Memory of a worker: 150 MB are its imports; beyond 95 % of it dask kills a worker."""


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    """However a cluster ended, dask computes in this process again."""
    yield
    assert dask.config.get("scheduler", None) is None


@pytest.fixture(scope="module")
def cluster() -> Iterator["distributed.LocalCluster"]:
    """Two worker processes of one thread."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, memory_limit=LIMIT, dashboard_address=":0"
    ) as made:
        yield made


@pytest.fixture
def at(cluster) -> str:
    """The argument of stages that names the cluster."""
    return json.dumps({"scheduler": cluster.scheduler_address})


def test_usage_on_a_cluster(pipeline, tmp_path, at):
    """The bytes are those that threads give."""
    made = pipeline.run("usage", "codes", tmp_path, dask=at)
    assert made["digest"] == pipeline.read("usage", "codes")["digest"]
    assert made["run"]["scheduler"].startswith("tcp://")


@pytest.mark.parametrize("points", [None, 100])
def test_a_codebook_on_a_cluster(pipeline, tmp_path, at, points):
    """All points or a sample."""
    changed = pipeline.changed({"codebooks.k8.points": points})
    on_threads = changed.run("codebooks", "k8", tmp_path / "threads")
    made = changed.run("codebooks", "k8", tmp_path / "cluster", dask=at)
    assert made["digest"] == on_threads["digest"]


def test_the_command(repo, pipeline, tmp_path, at):
    """A process as the workflow starts it, at the address of a scheduler that runs."""
    stage, argv = pipeline.command("usage", "semantic", tmp_path, dask=at)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", f"tessera.stages.{stage}", *argv],
        env=os.environ | {"PYTHONPATH": str(repo / "src")},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert all(line.startswith("[usage semantic] ") for line in done.stderr.splitlines())
    assert "2 tasks at once on tcp://" in done.stderr
    made = pipeline.read("usage", "semantic", tmp_path)
    assert made["digest"] == pipeline.read("usage", "semantic")["digest"]


def test_an_error_of_a_task_is_the_stages(tmp_path, cluster):
    """A worker's sentence arrives as it is."""
    part = tmp_path / "part.zarr.zip"
    write_part(part, {"codes": np.full((4, 1, 2), 9, np.uint16), "label": np.zeros(4, int)}, {})
    on = Dask(scheduler=cluster.scheduler_address)
    with (
        pytest.raises(UserError, match="holds codes up to 9 of 5"),
        computing(on, 1, [part], tmp_path),
    ):
        count_codes([part], classes=1, vocabulary=5)


def test_workers_that_do_not_see_the_files(cluster, tmp_path):
    """Found before any task: here a file that this process alone can open, as it has no name."""
    on = Dask(scheduler=cluster.scheduler_address)
    with tempfile.TemporaryFile() as nameless:
        files = [Path(__file__), Path(f"/proc/self/fd/{nameless.fileno()}")]
        with (
            pytest.raises(UserError, match=r"a worker of dask on .* does not see .*: put the resu"),
            computing(on, 1, files, tmp_path),
        ):
            pass


def test_nobody_answers(monkeypatch, tmp_path):
    """The sentence names the address and how a scheduler is started."""
    monkeypatch.setattr(computing_module, "CONNECT_SECONDS", 1)
    for address in ("tcp://127.0.0.1:9", "tcp://no.such.host.invalid:8786", "tcp://host:port"):
        with (
            pytest.raises(UserError, match=rf"no scheduler answers at {address}: start one"),
            computing(Dask(scheduler=address), 1, [], tmp_path),
        ):
            pass


def test_a_scheduler_without_workers(monkeypatch, tmp_path):
    """Nothing would ever be computed there."""
    monkeypatch.setattr(computing_module, "CONNECT_SECONDS", 1)
    given = {"processes": False, "protocol": "tcp", "dashboard_address": ":0"}
    with (
        distributed.LocalCluster(n_workers=0, **given) as empty,
        pytest.raises(UserError, match="has no workers: start some there"),
        computing(Dask(scheduler=empty.scheduler_address), 1, [], tmp_path),
    ):
        pass


def test_workers_that_die(tmp_path):
    """Said in a sentence; here after one death, by default after four."""
    given = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": ":0"}
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(**given, silence_logs=50) as made,
        pytest.raises(UserError, match="workers of dask died again and again over one task: give"),
        computing(Dask(scheduler=made.scheduler_address), 1, [], tmp_path),
    ):
        dask.compute(dask.delayed(os._exit)(1))


SBATCH = """#!/bin/sh
# Stands for SLURM's: refuses one partition, and runs the job at once.
[ "$1" = --test-only ] && script=$(cat) || script=$(cat "$1")
case $script in *"-p nowhere"*) echo "error: invalid partition" >&2; exit 1 ;; esac
[ "$1" = --test-only ] && exit
echo "$script" > "$FOLDER/job"
sh "$FOLDER/job" > "$FOLDER/log" 2>&1 &
echo "Submitted batch job $!"
"""


@pytest.fixture
def sbatch(tmp_path, monkeypatch) -> Path:
    """The folder of commands that stand for SLURM's; `cancelled` there names the jobs ended."""
    folder = tmp_path / "bin"
    folder.mkdir()
    scancel = '#!/bin/sh\necho "$@" >> "$FOLDER/cancelled"; kill "$@"\n'
    for name, text in (("sbatch", SBATCH), ("scancel", scancel)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("FOLDER", str(folder))
    return folder


def test_workers_on_slurm_are_started_and_ended(pipeline, tmp_path, sbatch):
    """With what the config asks for them; tests/cluster does it on a real one."""
    slurm = {
        "workers": 1, "cores": 2, "memory_mb": 700, "runtime_minutes": 90, "partition": "short",
        "account": "me", "directives": ["--qos=low"],
    }  # fmt: skip
    text = json.dumps({"scheduler": "slurm", "slurm": slurm})
    made = pipeline.run("usage", "semantic", tmp_path / "out", dask=text)
    assert made["digest"] == pipeline.read("usage", "semantic")["digest"]
    job = (sbatch / "job").read_text().splitlines()
    for directive in (
        "-p short", "-A me", "--cpus-per-task=2", "--mem=700M", "-t 01:30:00", "--qos=low"
    ):  # fmt: skip
        assert f"#SBATCH {directive}" in job
    assert f"--nthreads 2 --memory-limit {700:.2f}MiB" in job[-1]
    assert len((sbatch / "cancelled").read_text().splitlines()) == 1


def test_a_partition_that_slurm_does_not_know(sbatch, tmp_path):
    """Found at once, not after the minutes that a worker may wait in the queue."""
    on = Dask(scheduler="slurm", slurm={"partition": "nowhere"})
    with (
        pytest.raises(UserError, match=r"takes no worker of dask \(error: invalid partition\): co"),
        computing(on, 1, [], tmp_path),
    ):
        pass


def test_a_machine_without_slurm(monkeypatch, tmp_path):
    """The command that is missing is named."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(UserError, match="there is no command sbatch here"),
        computing(Dask(scheduler="slurm"), 1, [], tmp_path),
    ):
        pass


@pytest.mark.parametrize(
    ("scheduler", "module"), [("tcp://host:8786", "distributed"), ("slurm", "dask_jobqueue")]
)
def test_packages_that_are_not_installed(monkeypatch, tmp_path, scheduler, module):
    """The extra is named."""
    monkeypatch.setitem(sys.modules, module, None)
    with (
        pytest.raises(UserError, match=rf"{module} is not installed: pip install 'tessera\[clust"),
        computing(Dask(scheduler=scheduler), 1, [], tmp_path),
    ):
        pass


IMAGES, COPIES, CLASSES, CODES = 262_144, 8, 10, 1024
"""A part of 128 MiB, given eight times: 1 GiB of codes."""


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> tuple[list[Path], np.ndarray]:
    """Parts of 1 GiB together (links to one file), and the table of their codes."""
    folder = tmp_path_factory.mktemp("large")
    draw = np.random.default_rng(0)
    codes = draw.integers(0, CODES, (IMAGES, 1, 256), np.uint16)
    labels = np.sort(draw.integers(0, CLASSES, IMAGES))
    table = np.stack(
        [np.bincount(codes[labels == label].ravel(), minlength=CODES) for label in range(CLASSES)]
    )
    parts = [folder / f"part-{i}.zarr.zip" for i in range(COPIES)]
    write_part(parts[0], {"codes": codes, "label": labels}, {})
    for part in parts[1:]:
        os.link(parts[0], part)
    return parts, COPIES * table


def test_a_set_larger_than_the_memory_of_the_workers(large, cluster, tmp_path):
    """1 GiB passes through two workers of 320 MiB each, and none of them is killed for it."""
    parts, table = large
    on = Dask(scheduler=cluster.scheduler_address)
    with distributed.Client(cluster, set_as_default=False) as client:
        before = client.run(os.getpid)
        with computing(on, 1, parts, tmp_path):
            assert np.array_equal(count_codes(parts, CLASSES, CODES), table)
        assert client.run(os.getpid) == before


MEASURE = """
import re, sys
from pathlib import Path
from tessera.config.computing import Dask
from tessera.data.computing import computing
from tessera.data.counts import count_codes
from tessera.data.points import choose_places, read_points
def count(parts):
    count_codes(parts, 10, 1024)
def sample(parts):
    read_points(parts, choose_places(parts, 20_000, seed=0), 0, 256, at_once=2)
def peak():  # of this process: getrusage would begin with that of the one that started it
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
work, (small, *large) = globals()[sys.argv[1]], map(Path, sys.argv[2:])
with computing(Dask(), 2, [], Path()):
    work([small])  # the libraries are loaded, their threads run
    before = peak()
    work(large)
print(peak() - before)
"""


def growth(work: str, small: Path, large: list[Path]) -> int:
    """Bytes that a function of MEASURE takes for large parts, of a process of two threads."""
    command = [sys.executable, "-c", MEASURE, work, str(small), *map(str, large)]
    made = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(made.stdout)


def test_memory_of_counting_is_bounded(large, tmp_path):
    """Two threads take two chunks of 4 MiB and their cells: a ninth of the data at most."""
    small = tmp_path / "small.zarr.zip"
    write_part(small, {"codes": np.ones((4, 1, 2), np.uint16), "label": np.zeros(4, int)}, {})
    assert growth("count", small, large[0]) < 120 * 2**20


def test_memory_of_a_sample_is_bounded(tmp_path):
    """20,000 of a million points, 512 MiB: the sample of 20 MiB and what two threads read."""
    features = np.random.default_rng(0).random((250_000, 256), np.float32).astype(np.float16)
    parts = []
    for i in range(4):
        places = np.arange(len(features)) + i * len(features)
        parts.append(tmp_path / f"part-{i}.zarr.zip")
        write_part(parts[-1], {"features": features, "place": places}, {})
    small = tmp_path / "small.zarr.zip"
    write_part(small, {"features": features[:10], "place": np.arange(10)}, {})
    assert growth("sample", small, parts) < 120 * 2**20
