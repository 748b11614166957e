"""Starts the processes of a training: on this node, or on each node of a SLURM job.

They find each other by the environment variables that torchrun sets, so a training that was typed
after `torchrun` is the same. This is not torchrun itself for two reasons: up to torch 2.11 it kills
its processes 30 s after a SIGTERM, before a large state is saved; and it writes a traceback of its
own below the one sentence with which a stage ends.
"""

import argparse
import ctypes
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tessera.errors import UserError

log = logging.getLogger("tessera")
GRACE = 10
"""Seconds that the others have to end by themselves after one process has failed."""

STOPPED = 75
"""Exit status of a started process that was asked to stop and whose state is saved."""

LAUNCHED = "TESSERA_LAUNCHED"
"""Set for the processes that are started here: what ends them is for this one to answer."""

LOOPBACK = "127.0.0.1"
PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(frozen=True)
class Layout:
    """How many processes run where.

    Attributes:
        nodes: machines.
        per_node: processes on each.
    """

    nodes: int
    per_node: int

    @property
    def count(self) -> int:
        """Processes in all."""
        return self.nodes * self.per_node


def layout(gpus: int, nodes: int) -> Layout:
    """A process for each GPU, and one on each node without.

    Args:
        gpus: GPUs of all nodes together.
        nodes: machines.

    Raises:
        UserError: the nodes would have unequal shares.
    """
    if nodes < 1 or gpus % nodes:
        raise UserError(
            f"--gpus {gpus} cannot be spread over --nodes {nodes}: give a multiple of the nodes"
        )
    return Layout(nodes, max(1, gpus // nodes))


def rank() -> int:
    """The number of this process among those of its job, from 0; 0 where it is the only one."""
    return int(os.environ["RANK"]) if is_worker() else 0


def is_worker() -> bool:
    """Whether this process is one of several that somebody has started already."""
    return "RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def is_launched() -> bool:
    """Whether it was this module that started this process, and not a torchrun typed by hand."""
    return LAUNCHED in os.environ


def processes_here() -> int:
    """The processes of this job that share this node with this one, itself among them."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if is_worker() else 1


def end_with_parent() -> None:
    """Lets the kernel kill this process when the one that started it dies.

    Otherwise the processes of a killed training would write on beside those of the next.
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def launch(wanted: Layout, stage: str, argv: Sequence[str], threads: int) -> int:
    """Runs a stage in several processes and waits for them.

    A SIGTERM is passed on to all. When one process fails, the others are ended.

    Args:
        wanted: how many, where.
        stage: the stage.
        argv: its command line.
        threads: CPU threads on each node.

    Returns:
        The exit status: 0, or that of the first process that failed; `STOPPED` if they were asked
        to stop, which on several nodes is 0 with nothing made.

    Raises:
        UserError: several nodes are asked for outside a SLURM job.
    """
    command = [sys.executable, "-m", f"tessera.stages.{stage}", *argv]
    if wanted.nodes == 1:
        return run_node(command, wanted, 0, LOOPBACK, free_port())
    if not {"SLURM_JOB_ID", "SLURMD_NODENAME"} <= os.environ.keys():
        raise UserError(
            f"{stage} is to run on {wanted.nodes} nodes, and this is no SLURM job: run the "
            f"workflow with profiles/slurm, or set execution.{stage}.nodes to 1"
        )
    # One of these a node; the batch step, which this is, runs on the node of the first.
    agent = [sys.executable, "-m", "tessera.launch", str(wanted.nodes), str(wanted.per_node)]
    step = ["srun", f"--nodes={wanted.nodes}", f"--ntasks={wanted.nodes}", "--ntasks-per-node=1"]
    step += [f"--cpus-per-task={threads}", "--kill-on-bad-exit=1"]
    return _run([[*step, *agent, str(free_port()), *command]], [{}], ["srun"], _stop_step)


def run_node(
    command: Sequence[str],
    wanted: Layout,
    node: int,
    address: str,
    port: int,
) -> int:
    """Runs one node's processes of a command and waits for them.

    Args:
        command: what each process runs.
        wanted: how many, where.
        node: this node's number, from 0.
        address: of the first node.
        port: a free one there.

    Returns:
        As `launch`.
    """
    # All on this machine: its interface is named because its own name may be unknown to it.
    loopback = {} if address != LOOPBACK else {"GLOO_SOCKET_IFNAME": "lo"}
    environments = [
        {
            "RANK": str(node * wanted.per_node + place),
            "LOCAL_RANK": str(place),
            "WORLD_SIZE": str(wanted.count),
            "LOCAL_WORLD_SIZE": str(wanted.per_node),
            "MASTER_ADDR": address,
            "MASTER_PORT": str(port),
            LAUNCHED: "1",
        }
        | loopback
        for place in range(wanted.per_node)
    ]
    names = [f"process {each['RANK']} of {wanted.count}" for each in environments]
    return _run([command] * wanted.per_node, environments, names)


def free_port() -> int:
    """A TCP port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def _stop_step(started: Sequence[subprocess.Popen[bytes]]) -> None:
    """Sends a SIGTERM to the processes on all nodes.

    Not to srun, which takes it for an order to kill them; and not to this job's batch step, which
    scancel leaves alone when it is given a signal.
    """
    subprocess.run(["scancel", "--signal=TERM", os.environ["SLURM_JOB_ID"]], check=False)


def _stop_each(started: Sequence[subprocess.Popen[bytes]]) -> None:
    """Sends a SIGTERM to processes of this machine."""
    for process in started:
        process.terminate()


def _run(
    commands: Sequence[Sequence[str]],
    environments: Sequence[dict[str, str]],
    names: Sequence[str],
    stop: Callable[[Sequence[subprocess.Popen[bytes]]], None] = _stop_each,
) -> int:
    """Starts the commands, waits, and leaves none of them behind; `stop` passes a SIGTERM on."""
    started: list[subprocess.Popen[bytes]] = []

    def pass_on(number: int, frame: types.FrameType | None) -> None:
        stop(started)

    before = signal.signal(signal.SIGTERM, pass_on)
    try:
        for command, environment in zip(commands, environments, strict=True):
            started.append(subprocess.Popen(command, env=os.environ | environment))
        return _wait(started, names)
    finally:
        for process in started:
            process.kill()
            process.wait()
        signal.signal(signal.SIGTERM, before)


def _wait(started: Sequence[subprocess.Popen[bytes]], names: Sequence[str]) -> int:
    """Waits until all have ended, or some time after one has failed; returns the first failure."""
    failure, since = 0, 0.0
    while True:
        statuses = [process.poll() for process in started]
        failed = [place for place, status in enumerate(statuses) if status]
        if failed and not failure:
            failure, since = int(started[failed[0]].returncode), time.monotonic()
            if failure < 0:  # nobody else tells of it
                log.error(
                    "error: %s was ended by %s: run again to go on from the last checkpoint",
                    names[failed[0]], signal.Signals(-failure).name,
                )  # fmt: skip
        if None not in statuses or (failure and time.monotonic() - since > GRACE):
            return failure if failure >= 0 else 128 - failure
        time.sleep(0.05)


def main(argv: Sequence[str] | None = None) -> int:
    """What srun starts on each node: that node's processes."""
    parser = argparse.ArgumentParser(prog="python -m tessera.launch", description=main.__doc__)
    for name in ("nodes", "per_node", "port"):
        parser.add_argument(name, type=int)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args(argv)
    logging.basicConfig(stream=sys.stderr, format=f"[{socket.gethostname()}] %(message)s")
    wanted = Layout(arguments.nodes, arguments.per_node)
    address = os.environ["SLURM_LAUNCH_NODE_IPADDR"]  # where srun was called
    node = int(os.environ["SLURM_PROCID"])
    status = run_node(arguments.command, wanted, node, address, arguments.port)
    # A stop is no bad exit, for which srun would kill the other nodes' processes at once.
    return 0 if status == STOPPED else status


if __name__ == "__main__":
    sys.exit(main())
