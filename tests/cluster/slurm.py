"""A real SLURM on this machine: munge, slurmctld, and two slurmd with pretended GPUs.

Its configuration must lie in /etc/slurm: Snakemake's plugin takes SLURM_CONF out of the environment
of what it starts. So nothing is started where that folder holds somebody else's.
"""

import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

FOLDER = Path("/etc/slurm")
MARK = "# Written by tessera's tests; removed when they end."
NODES = {"n1": (16818, "/dev/tty[0-1]"), "n2": (16819, "/dev/tty[2-3]")}
PROGRAMS = ("slurmctld", "slurmd", "munged", "squeue", "scontrol", "sbatch")


def obstacle() -> str | None:
    """Why no SLURM can be started here, or nothing."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
    if missing:
        return f"{', '.join(missing)} not found: apt-get install slurm-wlm munge"
    if os.geteuid() != 0:
        return "slurmd and a configuration in /etc/slurm need root"
    conf = FOLDER / "slurm.conf"
    if conf.exists() and MARK not in conf.read_text():
        return f"{conf} is of another SLURM, which stays as it is"
    return None if _only_one() else "another run of these tests has its SLURM on this machine"


def _only_one() -> bool:
    """Whether no other process runs these tests here; holds that until this one ends."""
    FOLDER.mkdir(exist_ok=True)
    file = os.open(FOLDER / ".tessera-tests", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return False
    return True


class Slurm:
    """The running cluster.

    Attributes:
        state: folder of its state, logs and process ids.
    """

    def __init__(self, state: Path) -> None:
        self.state = state

    def start(self) -> None:
        """Starts all daemons and waits until both nodes are idle."""
        self._configure()
        munge = self.state / "munge"
        munge.mkdir()
        (munge / "key").write_bytes(os.urandom(1024))
        (munge / "key").chmod(0o600)
        files = [
            f"--{name}-file={munge}/{name.partition('-')[0]}"
            for name in ("key", "pid", "log", "seed")
        ]
        self.ask("munged", "--force", f"--socket={munge}/socket", *files)
        self.ask("slurmctld")
        for node in NODES:
            self.ask("slurmd", "-N", node)
        self.wait_for(lambda: self.ask("sinfo", "-h", "-o", "%T %D") == "idle 2", "two idle nodes")

    def stop(self) -> None:
        """Cancels all jobs, ends the daemons and takes the configuration away."""
        with contextlib.suppress(subprocess.SubprocessError, TimeoutError):
            self.ask("scancel", "--full", "--user", "root")
            self.wait_for(lambda: not self.ask("squeue", "-h"), "an empty queue")
        pids = [*self.state.glob("slurm*.pid"), self.state / "munge" / "pid"]
        for number in [int(pid.read_text()) for pid in pids if pid.exists()]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGTERM)
        for name in ("slurm.conf", "gres.conf"):
            (FOLDER / name).unlink(missing_ok=True)

    @staticmethod
    def ask(*command: str) -> str:
        """What one of SLURM's commands prints."""
        done = subprocess.run(
            command,
            env=os.environ | {"PATH": _path()},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout.strip()

    def jobs(self, folder: Path, rule: str = "") -> list[str]:
        """The jobs of all runs in a folder, the oldest first; of one rule or all."""
        lines = self.ask("squeue", "-h", "--states=all", "-r", "-o", "%A %Z %k").splitlines()
        found = [line.split() for line in lines]
        wanted = [
            int(job)
            for job, where, comment in found
            if where == str(folder) and comment.startswith(f"rule_{rule}")
        ]
        return [str(job) for job in sorted(wanted)]

    def record(self, job: str) -> dict[str, str]:
        """All that SLURM knows of a job."""
        text = self.ask("scontrol", "show", "--oneliner", "job", job)
        return dict(field.split("=", 1) for field in text.split() if "=" in field)

    def devices(self) -> dict[str, list[str]]:
        """The GPUs of all jobs that run now: job → `n1:0`, one for each."""
        text = self.ask("scontrol", "show", "--details", "--oneliner", "job")
        found = {}
        for line in text.splitlines():
            job = re.match(r"JobId=(\d+) ", line)
            held = re.search(r" Nodes=(n\d) .*? GRES=gpu\S*\(IDX:([\d,]+)\)", line)
            if job and held:
                found[job[1]] = [f"{held[1]}:{number}" for number in held[2].split(",")]
        return found

    def wait_for(self, holds: Callable[[], bool], what: str, seconds: float = 180) -> None:
        """Waits until a condition holds.

        Raises:
            TimeoutError: it does not.
        """
        end = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > end:
                queue = self.ask("squeue", "--states=all")
                raise TimeoutError(f"no {what} after {seconds} s:\n{queue}")
            time.sleep(0.3)

    def _configure(self) -> None:
        host = os.uname().nodename
        FOLDER.mkdir(exist_ok=True)
        lines = [
            MARK,
            "ClusterName=tessera",
            f"SlurmctldHost={host}(127.0.0.1)",
            "SlurmctldPort=16817",
            "SlurmUser=root",
            "SlurmdUser=root",
            f"StateSaveLocation={self.state}/controller",
            f"SlurmdSpoolDir={self.state}/spool-%n",
            f"SlurmctldPidFile={self.state}/slurmctld.pid",
            f"SlurmdPidFile={self.state}/slurmd-%n.pid",
            f"SlurmctldLogFile={self.state}/slurmctld.log",
            f"SlurmdLogFile={self.state}/slurmd-%n.log",
            # A requeued job waits until its credential has run out: 120 s by default, at least 5.
            f"AuthInfo=socket={self.state}/munge/socket,cred_expire=5",
            "AuthType=auth/munge",
            "CredType=cred/munge",
            # No cgroups: a container may not have them.
            "ProctrackType=proctrack/linuxproc",
            "TaskPlugin=task/none",
            "MpiDefault=none",
            "SelectType=select/cons_tres",
            "SelectTypeParameters=CR_CPU_Memory",
            # Without cgroups the memory of jobs is looked at every second.
            "JobAcctGatherType=jobacct_gather/linux",
            "JobAcctGatherFrequency=1",
            "JobAcctGatherParams=OverMemoryKill",
            "GresTypes=gpu",
            "MinJobAge=7200",  # without a database, ended jobs are known for that long
            "KillWait=5",
            "ReturnToService=0",  # a node set down stays down
            "SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,bf_interval=3",
            "SlurmdParameters=config_overrides",  # more cores and memory than there are
        ]
        lines += [
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=4 "
            "RealMemory=16000 Gres=gpu:2"
            for node, (port, _) in NODES.items()
        ]
        nodes = f"Nodes={','.join(NODES)} State=UP"
        lines += [f"PartitionName=main {nodes} Default=YES", f"PartitionName=gpus {nodes}"]
        (self.state / "controller").mkdir()
        (FOLDER / "slurm.conf").write_text("\n".join(lines) + "\n")
        gres = [f"NodeName={node} Name=gpu File={files}" for node, (_, files) in NODES.items()]
        (FOLDER / "gres.conf").write_text("\n".join([MARK, *gres]) + "\n")


def _path() -> str:
    """PATH with the folders of daemons, which not every shell has."""
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"
