"""Starting the processes of a training, with commands that are quicker than a training."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tessera import launch
from tessera.errors import UserError
from tessera.launch import Layout

TELL = """
import json, os, sys
names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
with open(os.path.join(sys.argv[1], os.environ["RANK"]), "w") as file:
    json.dump([os.environ[name] for name in names], file)
"""
WAIT = "import time; time.sleep(60)"


@pytest.fixture(autouse=True)
def _one_process(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "SLURM_JOB_ID", "SLURMD_NODENAME"):
        monkeypatch.delenv(name, raising=False)


def python(code: str, *words: object) -> list[str]:
    return [sys.executable, "-c", code, *map(str, words)]


def told(folder: Path) -> list[list[str]]:
    """What the processes found in their environment, by rank."""
    return [json.loads((folder / name).read_text()) for name in sorted(os.listdir(folder))]


@pytest.mark.parametrize(
    ("gpus", "nodes", "expected"),
    [
        (0, 1, Layout(1, 1)),
        (1, 1, Layout(1, 1)),
        (4, 1, Layout(1, 4)),
        (8, 2, Layout(2, 4)),
        (0, 3, Layout(3, 1)),
    ],
)
def test_a_process_for_each_gpu(gpus, nodes, expected):
    """And one on each node without any."""
    assert launch.layout(gpus, nodes) == expected


@pytest.mark.parametrize(("gpus", "nodes"), [(3, 2), (1, 2), (2, 0)])
def test_unequal_nodes(gpus, nodes):
    """Said before anything starts."""
    with pytest.raises(UserError, match=f"--gpus {gpus} cannot be spread over --nodes {nodes}"):
        launch.layout(gpus, nodes)


def test_what_the_processes_are_told(tmp_path):
    """The second of two nodes with two processes each: what torchrun would set."""
    status = launch.run_node(python(TELL, tmp_path), Layout(2, 2), 1, "10.0.0.1", 1234)
    assert status == 0
    assert told(tmp_path) == [
        ["2", "0", "4", "2", "10.0.0.1", "1234"],
        ["3", "1", "4", "2", "10.0.0.1", "1234"],
    ]


def test_who_this_process_is(monkeypatch):
    """Alone, unless the environment says otherwise; a single process of torchrun is alone too."""
    assert (launch.is_worker(), launch.rank(), launch.processes_here()) == (False, 0, 1)
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert not launch.is_worker()
    for name, value in (("RANK", "3"), ("WORLD_SIZE", "4"), ("LOCAL_WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    assert (launch.is_worker(), launch.rank(), launch.processes_here()) == (True, 3, 2)


def test_a_failed_process_ends_the_others(tmp_path, monkeypatch):
    """Its status is the job's; none is left."""
    monkeypatch.setattr(launch, "GRACE", 0.2)
    code = f"""
import os, sys
open(os.path.join(sys.argv[1], os.environ["RANK"]), "w").write(str(os.getpid()))
if os.environ["RANK"] == "1":
    while len(os.listdir(sys.argv[1])) < 2: pass
    sys.exit(7)
{WAIT}"""
    assert launch.run_node(python(code, tmp_path), Layout(1, 2), 0, "127.0.0.1", 1) == 7
    assert not Path("/proc", (tmp_path / "0").read_text()).exists()


def test_a_killed_process_is_told_of(caplog, monkeypatch):
    """It cannot tell of itself; the status is a shell's."""
    monkeypatch.setattr(launch, "GRACE", 0.2)
    code = f"import os, signal\nif os.environ['RANK'] == '1': os.kill(os.getpid(), 9)\n{WAIT}"
    assert launch.run_node(python(code), Layout(1, 2), 0, "127.0.0.1", 1) == 128 + 9
    assert caplog.messages == [
        "error: process 1 of 2 was ended by SIGKILL: run again to go on from the last checkpoint"
    ]


def test_a_signal_is_passed_on(tmp_path):
    """To all; each ends in its own time, however long it takes to save."""
    code = """
import os, signal, sys, time
path = os.path.join(sys.argv[1], os.environ["RANK"])
def save(*_):
    time.sleep(0.5)
    open(path + ".saved", "w").close()
    sys.exit(1)
signal.signal(signal.SIGTERM, save)
open(path, "w").close()
time.sleep(60)"""

    def ask() -> None:
        while len(os.listdir(tmp_path)) < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    threading.Thread(target=ask).start()
    assert launch.run_node(python(code, tmp_path), Layout(1, 2), 0, "127.0.0.1", 1) == 1
    assert sorted(os.listdir(tmp_path)) == ["0", "0.saved", "1", "1.saved"]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_process_ends_with_its_parent(repo):
    """Also when that is killed; else two trainings would write the same files."""
    child = "from tessera import launch; launch.end_with_parent(); print(flush=True); " + WAIT
    parent = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}]).wait()"
    environment = os.environ | {"PYTHONPATH": str(repo / "src")}
    with subprocess.Popen(python(parent), stdout=subprocess.PIPE, env=environment) as started:
        started.stdout.readline()  # the child is ready
        started.kill()
        assert started.stdout.read() == b""  # at the end of the child, which holds it open too


def test_several_nodes(tmp_path, monkeypatch):
    """Srun starts one launcher a node; they agree on the first node's address and port."""
    srun = tmp_path / "bin" / "srun"
    srun.parent.mkdir()
    srun.write_text(
        f"""#!{sys.executable}
import os, subprocess, sys
options = [word for word in sys.argv[1:] if word.startswith("--") and "=" in word]
assert options == ["--nodes=2", "--ntasks=2", "--ntasks-per-node=1", "--cpus-per-task=6",
    "--kill-on-bad-exit=1"], options
command = sys.argv[1 + len(options):]
stage = command.index("tessera.stages.stage1")
command[stage - 1:] = ["-c", {TELL!r}, {str(tmp_path / "told")!r}]
tasks = [subprocess.Popen(command, env=os.environ | {{
    "SLURM_PROCID": str(task), "SLURM_LAUNCH_NODE_IPADDR": "127.0.0.1"}}) for task in range(2)]
sys.exit(max(task.wait() for task in tasks))
"""
    )
    srun.chmod(0o755)
    (tmp_path / "told").mkdir()
    monkeypatch.setenv("PATH", f"{srun.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(Path(launch.__file__).parents[1]))
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.setenv("SLURMD_NODENAME", "first")
    assert launch.launch(Layout(2, 2), "stage1", ["--settings", "{}"], threads=6) == 0
    found = told(tmp_path / "told")
    assert [words[:5] for words in found] == [
        ["0", "0", "4", "2", "127.0.0.1"],
        ["1", "1", "4", "2", "127.0.0.1"],
        ["2", "0", "4", "2", "127.0.0.1"],
        ["3", "1", "4", "2", "127.0.0.1"],
    ]
    assert len({words[5] for words in found}) == 1
    assert int(found[0][5]) > 0


SRUN_TWO_NODES = """
import os, subprocess, sys, time
command = [word for word in sys.argv[1:] if not word.startswith("--")]
stage = command.index("tessera.stages.stage1")
command[stage - 1:] = ["-c", open(os.environ["CODE"]).read(), os.environ["TOLD"]]
tasks = [subprocess.Popen(command, env=os.environ | {
    "SLURM_PROCID": str(task), "SLURM_LAUNCH_NODE_IPADDR": "127.0.0.1"}) for task in range(2)]
with open(os.environ["TOLD"] + ".tasks", "w") as file:
    file.write(" ".join(str(task.pid) for task in tasks))
sys.exit(max(task.wait() for task in tasks))
"""
STOPS = """
import os, signal, sys, time
path = os.path.join(sys.argv[1], os.environ["RANK"])
def save(*_):
    open(path + ".saved", "w").close()
    sys.exit(75)
signal.signal(signal.SIGTERM, save)
open(path, "w").close()
time.sleep(60)
"""


def test_several_nodes_are_stopped(tmp_path, monkeypatch):
    """Not by a signal to srun, which would kill them: SLURM signals the launchers on the nodes."""
    told, tools = tmp_path / "told", tmp_path / "bin"
    told.mkdir()
    tools.mkdir()
    scancel = f"""#!/bin/sh
[ "$*" = "--signal=TERM 7" ] && kill -TERM $(cat {told}.tasks)
"""
    for name, text in {
        "srun": f"#!{sys.executable}\n{SRUN_TWO_NODES}",
        "scancel": scancel,
    }.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    (tmp_path / "code").write_text(STOPS)
    for name, value in {
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(Path(launch.__file__).parents[1]),
        "CODE": str(tmp_path / "code"),
        "TOLD": str(told),
        "SLURM_JOB_ID": "7",
        "SLURMD_NODENAME": "first",
    }.items():
        monkeypatch.setenv(name, value)

    def ask() -> None:
        while len(os.listdir(told)) < 4:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=ask).start()
    # A stop is no failure of a node, for which srun would kill the others while they save.
    assert launch.launch(Layout(2, 2), "stage1", [], threads=1) == 0
    assert sorted(os.listdir(told)) == [
        f"{rank}{end}" for rank in range(4) for end in ("", ".saved")
    ]


@pytest.mark.parametrize("name", ["SLURM_JOB_ID", "SLURMD_NODENAME"])
def test_several_nodes_outside_a_job(monkeypatch, name):
    """Also on a login node that holds an allocation: the first process would not be there."""
    monkeypatch.setenv(name, "1")
    with pytest.raises(UserError, match="stage2 is to run on 2 nodes, and this is no SLURM job"):
        launch.launch(Layout(2, 1), "stage2", [], threads=1)
