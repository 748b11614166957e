"""What being a workflow costs: seconds a job beside its work, and seconds of a run without work.

    python -m benchmarks.workflow [--demo]

`--demo` runs `make demo`'s commands in a copy of the checkout instead, for some minutes.
"""

import contextlib
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import psutil

from benchmarks.harness import Figure, Report, Timing, main

REPO = Path(__file__).parents[1]
TINY = Path(__file__).with_name("workflow.yaml")
STUB = REPO / "tests" / "workflow" / "stub"
"""Folder of a `python` that makes a stage's files without doing its work."""

KINDS = {
    "no network": ("shards", "codebook", "usage", "samples", "patches", "tables", "index"),
    "networks that were trained before": ("features", "tokens", "sampling", "stability"),
    "comparisons of images": ("evaluation", "neighbours", "reconstruction"),
    "trainings": ("encoder", "autoencoder", "extractor", "stage1", "stage2", "probe"),
}
"""Stages by what they have to import."""


@dataclass(frozen=True)
class JobTime:
    """Seconds of a stage's job: all of them by Snakemake's clock, and of its work by its card."""

    stage: str
    wall: float
    work: float


@dataclass(frozen=True)
class Run:
    """One command: its seconds, and the memory of its largest process in bytes."""

    seconds: float
    peak_bytes: int


def measure(device: str, full: bool) -> Report:
    """Overhead of a job and of a run, on the processor; there is nothing to enlarge."""
    with TemporaryDirectory() as folder:
        tiny = copy_workflow(Path(folder) / "tiny", TINY)
        whole = run(["snakemake", "--cores", "1"], tiny)
        jobs = job_times(tiny / "results")
        default = copy_workflow(Path(folder) / "default", REPO / "config.yaml")
        floor = again(["python", "-c", "import torch"], default)
        figures = [
            *of_jobs(jobs, whole),
            limited("`import torch` and nothing else", floor, 3.0),
            *(of_nothing(default, name) for name in ("configs/demo.yaml", "config.yaml")),
        ]
    sizes = {"jobs": len(jobs), "config": TINY.name, "cores": 1}
    left_out = ["make demo: `python -m benchmarks.workflow --demo` takes minutes"]
    return Report(benchmark="workflow", sizes=sizes, figures=figures, left_out=left_out)


def of_jobs(jobs: Sequence[JobTime], whole: Run) -> list[Figure]:
    """Overhead of the slowest job by what its stage imports, with what Snakemake adds a job.

    Args:
        jobs: those of a run with next to no work.
        whole: the run of all of them, one after the other.
    """
    walls = [job.wall for job in jobs]
    own = (whole.seconds - sum(walls)) / len(walls)
    made = []
    for kind, stages in KINDS.items():
        found = [(job.wall - job.work + own, job.stage) for job in jobs if job.stage in stages]
        seconds, stage = max(found)
        middle = median(seconds for seconds, _ in found)
        note = f"{stage}, the slowest of {len(found)} jobs; their median: {middle:.1f} s"
        timing = Timing((seconds,), whole.peak_bytes)
        made.append(limited(f"a job beside its work, {kind}", timing, 3.0, note))
    return [
        *made,
        Figure(
            name="of it Snakemake's own time, its start included",
            value=own,
            unit="s",
            against="a median job",
            other=median(walls),
            peak_bytes=whole.peak_bytes,
        ),
    ]


def of_nothing(folder: Path, config: str) -> Figure:
    """Seconds until a finished run has said that there is nothing to do."""
    from tessera.config.load import load
    from tessera.report.outputs import figure_files, figure_names, table_files, table_names

    command = ["snakemake", "--cores", "2", "--configfile", config]
    settings = load([folder / "config.yaml", folder / config])
    names = {
        "tables": [file for name in table_names(settings) for file in table_files(name)],
        "figures": [file for name in figure_names(settings) for file in figure_files(name)],
    }
    for stage, files in names.items():  # for the stub: no command line names them
        text = "\n".join(str(Path(settings.results) / stage / file) for file in files)
        (folder / f"{stage}.files").write_text(text)
    return limited(f"nothing to do, {config}", again(command, folder, STUB), 10.0)


def of_demo(device: str, full: bool) -> Report:
    """`make demo` after the install, in a copy of the checkout: Snakemake and its report."""
    with TemporaryDirectory() as place:
        folder = copy_workflow(Path(place), REPO / "config.yaml")
        command = ["snakemake", "--configfile", "configs/demo.yaml"]
        runs = [run(command, folder), run([*command, "--report", "results/report.html"], folder)]
    timing = Timing((sum(one.seconds for one in runs),), max(one.peak_bytes for one in runs))
    return Report(benchmark="demo", sizes={}, figures=[limited("make demo", timing, 480.0)])


def again(command: Sequence[str], folder: Path, first: Path | None = None) -> Timing:
    """Times three runs, after one that warms the disk's cache or does what there is to do."""
    runs = [run(command, folder, first) for _ in range(4)][1:]
    return Timing(tuple(one.seconds for one in runs), max(one.peak_bytes for one in runs))


def limited(name: str, timing: Timing, seconds: float, note: str = "") -> Figure:
    """A figure that is to stay below some seconds."""
    return Figure(
        name=name, unit="s", against="what it may take", other=seconds, target=1.0,
        bound="at most", note=note, **timing.taken(),
    )  # fmt: skip


def copy_workflow(folder: Path, config: Path) -> Path:
    """Copies what a checkout runs from, with `config` as its config.yaml."""
    folder.mkdir(exist_ok=True)
    for name in ("rules", "profiles", "envs", "configs"):
        shutil.copytree(REPO / name, folder / name)
    shutil.copy(REPO / "Snakefile", folder)
    shutil.copy(config, folder / "config.yaml")
    (folder / "src").symlink_to(REPO / "src")
    return folder


def run(command: Sequence[str], folder: Path, first: Path | None = None) -> Run:
    """Runs a command of this environment that must succeed.

    Args:
        command: the words; programs beside this Python come before those of the system.
        folder: where it runs.
        first: a folder whose programs come before all others.
    """
    places = [*([str(first)] if first else []), str(Path(sys.executable).parent)]
    path = os.pathsep.join([*places, os.environ["PATH"]])
    with (folder / "run.log").open("w+") as log:
        start = time.perf_counter()
        process = psutil.Popen(
            [shutil.which(command[0], path=path) or command[0], *command[1:]],
            cwd=folder,
            stdout=log,
            stderr=log,
            env=os.environ | {"PATH": path, "PYTHONPATH": str(REPO / "src")},
        )
        peaks: list[int] = []
        watch = threading.Thread(target=_watch, args=(process, peaks))
        watch.start()
        status = process.wait()
        seconds = time.perf_counter() - start
        watch.join()
        if status:
            log.seek(0)
            raise RuntimeError(f"{' '.join(command)} failed: {log.read()[-2000:]}")
    return Run(seconds, max(peaks, default=0))


def _watch(process: psutil.Popen, peaks: list[int]) -> None:
    """Notes the memory of a process and of what it has started, until it ends.

    The kernel's own maximum would be no less than that of the process that started it: ours.
    """
    with contextlib.suppress(psutil.NoSuchProcess):
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            for one in [process, *process.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    peaks.append(one.memory_info().rss)
            time.sleep(0.05)


def job_times(results: Path) -> list[JobTime]:
    """The jobs of a finished run; each log says which card was written."""
    found = []
    for file in sorted((results / "benchmarks").rglob("*.tsv")):
        name = file.relative_to(results / "benchmarks").with_suffix("")
        names, values = (line.split("\t") for line in file.read_text().splitlines())
        log = (results / "logs" / name).with_suffix(".log").read_text()
        (done,) = (line for line in log.splitlines() if "] done in " in line)
        card = results.parent / done.rpartition(": ")[2]
        work = json.loads(card.read_text())["run"]["seconds"]
        found.append(JobTime(name.parts[0], float(values[names.index("s")]), work))
    return found


if __name__ == "__main__":
    words = sys.argv[1:]
    chosen = of_demo if "--demo" in words else measure
    sys.exit(main(chosen, [word for word in words if word != "--demo"]))
