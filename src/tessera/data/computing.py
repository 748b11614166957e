"""What dask computes with: threads of this process, a cluster that runs, or workers on SLURM.

Inside `computing` plain `dask.compute` goes there. Results never depend on which it is.
"""

import importlib
import os
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
from dask.delayed import Delayed

import tessera
from tessera.config.computing import Dask, SlurmWorkers
from tessera.errors import UserError

if TYPE_CHECKING:
    from dask_jobqueue import SLURMCluster
    from distributed import Client

CONNECT_SECONDS = 30
"""Time for the answer of a scheduler, and for the first worker of one that runs already."""


@contextmanager
def computing(settings: Dask, threads: int, files: Sequence[Path], logs: Path) -> Iterator[int]:
    """Sets what `dask.compute` uses inside the block, and ends what it started.

    Args:
        settings: what is to compute.
        threads: threads, where this process computes.
        files: the files that tasks will read; each worker of a cluster must see them.
        logs: folder of the logs of workers that are started here.

    Yields:
        Tasks that run at once.

    Raises:
        UserError: the cluster is not there, has no worker, or its workers cannot do the work.
    """
    if settings.scheduler == "threads":
        with dask.config.set(scheduler="threads", num_workers=threads):
            yield threads
        return
    distributed = _require("distributed")
    with ExitStack() as opened:
        if settings.scheduler == "slurm":
            cluster = opened.enter_context(_slurm_cluster(settings.slurm, logs))
            client = opened.enter_context(distributed.Client(cluster, set_as_default=False))
            _wait_for_slurm(client, settings.slurm, logs)
            at_once = settings.slurm.workers * settings.slurm.cores  # others may come later
        else:
            client = opened.enter_context(_connect(settings.scheduler))
            at_once = sum(client.nthreads().values())
        _require_workers(client, files)
        # No client is the process's default: one that cannot connect would stay it until collected.
        opened.enter_context(dask.config.set(scheduler=client.get))
        try:
            yield at_once
        except distributed.KilledWorker as error:
            raise UserError(
                "workers of dask died again and again over one task: give each of them more "
                "memory, or see their logs"
            ) from error


def compute_each(tasks: Sequence[Delayed], at_once: int) -> Iterator[Any]:
    """The results of tasks in their order, no more of them in memory than run at once."""
    for first in range(0, len(tasks), at_once):
        yield from dask.compute(*tasks[first : first + at_once])


def fold(tasks: Sequence[Delayed], join: Callable[[Any, Any], Any]) -> Delayed:
    """One task that joins the results of all, each as soon as it is there.

    In a row and not by halves: so there is one joined result beside those of the running tasks.

    Args:
        tasks: one or more.
        join: two results → one.
    """
    return reduce(dask.delayed(join, pure=False), tasks)


def _require(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(
            f"dask.scheduler asks for a cluster, and {module} is not installed: "
            "pip install 'tessera[cluster]'"
        ) from error


def _connect(address: str) -> "Client":
    """A client of the scheduler at an address, once it has a worker."""
    distributed = _require("distributed")
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:  # ValueError: the host is no name, the port no number
        raise UserError(
            f"dask.scheduler: no scheduler answers at {address}: start one there "
            "(`dask scheduler`), or correct the address"
        ) from error
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
    except TimeoutError as error:
        client.close()
        raise UserError(
            f"dask.scheduler: the scheduler at {address} has no workers: start some there "
            f"(`dask worker {address}`)"
        ) from error
    return client


def _slurm_cluster(settings: SlurmWorkers, logs: Path) -> "SLURMCluster":
    """Workers as SLURM jobs, of which none has started yet."""
    jobqueue = _require("dask_jobqueue")
    source = Path(tessera.__file__).parents[1]
    hours, minutes = divmod(settings.runtime_minutes, 60)
    cluster = jobqueue.SLURMCluster(
        cores=settings.cores,
        processes=1,
        memory=f"{settings.memory_mb}MiB",
        walltime=f"{hours:02d}:{minutes:02d}:00",
        queue=settings.partition,
        account=settings.account,
        interface=settings.interface,
        job_extra_directives=list(settings.directives),
        # Workers unpickle functions of this checkout, whatever is installed beside them.
        job_script_prologue=[f'export PYTHONPATH="{source}:$PYTHONPATH"'],
        log_directory=str(logs),
        scheduler_options={"dashboard_address": ":0"},
    )
    try:
        _require_sbatch(cluster.job_script())
        cluster.scale(jobs=settings.workers)
    except BaseException:
        cluster.close()
        raise
    return cluster


def _require_sbatch(script: str) -> None:
    """Refuses what SLURM would refuse; dask only logs that, and waits for workers."""
    try:
        done = subprocess.run(
            ["sbatch", "--test-only"], input=script, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise UserError(
            "dask.scheduler is slurm, and there is no command sbatch here: run this on a node that "
            "may submit jobs, or name another scheduler"
        ) from error
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or ["it does not say why"]
        raise UserError(f"SLURM takes no worker of dask ({reason[0]}): correct dask.slurm")


def _wait_for_slurm(client: "Client", settings: SlurmWorkers, logs: Path) -> None:
    try:
        client.wait_for_workers(1, timeout=60 * settings.wait_minutes)
    except TimeoutError as error:
        raise UserError(
            f"no worker of dask started on SLURM within {settings.wait_minutes} min: see squeue "
            f"and {logs}, or raise dask.slurm.wait_minutes"
        ) from error


def _require_workers(client: "Client", files: Sequence[Path]) -> None:
    """Refuses workers that lack this package, or that do not see the files as they are here."""
    sizes = {str(file.resolve()): file.stat().st_size for file in files}

    def obstacle() -> str | None:  # nested, so that it travels whole to workers without tessera
        host = socket.gethostname()
        try:
            importlib.import_module("tessera.data.spans")
        except ImportError as error:
            return (
                f"on {host} lacks a package ({error}): start it in the environment of tessera, "
                "with the checkout's folder src in PYTHONPATH where tessera is not installed"
            )
        for file, size in sizes.items():
            if not os.path.isfile(file) or os.path.getsize(file) != size:
                return (
                    f"on {host} does not see {file}: put the results on a file system that all "
                    "workers share, under the same path"
                )
        return None

    for found in client.run(obstacle).values():
        if found is not None:
            raise UserError(f"a worker of dask {found}")
