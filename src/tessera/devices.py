"""Which GPUs a job computes on: jobs that run at once on one machine take different ones.

A scheduler that knows GPUs hands them out itself. Without one, each job locks a file for each GPU
that it takes. The lock belongs to the process, so it ends with it, however that ends.
"""

import fcntl
import logging
import os
import shutil
import subprocess
import time
from pathlib import Path

from tessera.errors import UserError

log = logging.getLogger("tessera")

VISIBLE = "CUDA_VISIBLE_DEVICES"
CLAIMED = "TESSERA_GPUS"
"""Tells the processes that a job starts that its GPUs are theirs too."""
PRETENDED = "TESSERA_PRETEND_GPUS"
"""A number of GPUs to take for granted: for tests on machines without."""

JOB_VARIABLES = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID")
"""Where SLURM, PBS and LSF put the id of the job that this process belongs to."""

SECONDS_BETWEEN_TRIES = 1.0

_held: list[int] = []
"""Locked files of this process, open until it ends."""


def claim(gpus: int, folder: Path | None = None) -> list[str]:
    """Takes GPUs of this machine for as long as this process lives; waits until some are free.

    What a scheduler assigned stays as it is. A user's CUDA_VISIBLE_DEVICES restricts the choice.

    Args:
        gpus: how many; with 0 nothing is taken, and the job computes on what it sees.
        folder: where the locks lie; by default one in /tmp for all workflows of a user. Not
            $TMPDIR, which schedulers and users set anew for each job.

    Returns:
        The devices as CUDA_VISIBLE_DEVICES names them; where SLURM numbers those of the node, its
        numbers. Empty where there are none, and the job computes on the CPU.

    Raises:
        UserError: the machine has some GPUs, but fewer than asked for.
    """
    if CLAIMED in os.environ or "LOCAL_RANK" in os.environ:
        return _listed(VISIBLE)  # one of several processes of a job that has its GPUs
    visible = devices()
    if gpus == 0 or not visible:
        return []
    if len(visible) < gpus:
        raise UserError(
            f"the job asks for {gpus} GPUs and can see {len(visible)} on this machine: lower "
            f"`gpus` of its stage under `execution`, or widen {VISIBLE}"
        )
    job = scheduler_job() if VISIBLE in os.environ else None
    if job and len(visible) == gpus:
        return _listed("SLURM_STEP_GPUS") or _listed("SLURM_JOB_GPUS") or visible
    # A scheduler may call the first GPU of every job 0, so its jobs' locks are kept apart.
    taken = _lock(visible, gpus, folder or _folder(), prefix=f"{job}-" if job else "")
    os.environ[VISIBLE] = os.environ[CLAIMED] = ",".join(taken)
    return taken


def devices() -> list[str]:
    """The GPUs of this machine that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    if VISIBLE in os.environ:
        named = _listed(VISIBLE)
        # CUDA reads the list up to the first entry that is none, such as -1.
        return named[: named.index("-1")] if "-1" in named else named
    return [str(number) for number in range(_count())]


def machine() -> str:
    """The name of this machine; of the node, where SLURM calls it otherwise."""
    return os.environ.get("SLURMD_NODENAME") or os.uname().nodename


def scheduler_job() -> str | None:
    """The id of the scheduler's job that this process belongs to."""
    return next((os.environ[name] for name in JOB_VARIABLES if os.environ.get(name)), None)


def _listed(variable: str) -> list[str]:
    return [entry.strip() for entry in os.environ.get(variable, "").split(",") if entry.strip()]


def _count() -> int:
    if PRETENDED in os.environ:
        return int(os.environ[PRETENDED])
    if shutil.which("nvidia-smi"):
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
        return sum(line.startswith("GPU ") for line in listing.stdout.splitlines())
    return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))


def _folder() -> Path:
    folder = Path(f"/tmp/tessera-gpus-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.lstat().st_uid != os.getuid():
        raise UserError(f"{folder} belongs to somebody else: have it removed")
    return folder


def _lock(visible: list[str], gpus: int, folder: Path, prefix: str) -> list[str]:
    """Locks `gpus` of the devices, all or none, so that two jobs never wait for each other."""
    told = False
    while True:
        files: dict[str, int] = {}
        for device in visible:
            file = os.open(folder / f"{prefix}{device.replace('/', '_')}", os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
                continue
            files[device] = file
            if len(files) == gpus:
                _held.extend(files.values())
                return list(files)
        for file in files.values():
            os.close(file)
        if not told:
            log.info("waiting for %d of the GPUs %s: others use them", gpus, ",".join(visible))
            told = True
        time.sleep(SECONDS_BETWEEN_TRIES)
