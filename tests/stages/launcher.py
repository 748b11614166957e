"""Runs stages as processes of their own, without paying for the imports each time.

It imports all stages once, computes nothing, and forks for each line that it reads on its input:
`{"stage", "argv", "log", "die_at", "environment"}` as JSON. The child dies by SIGKILL just before
its `die_at`-th file (from 0) gets its final name, where that is given. The answer is the child's
number, and to `{"wait": number}` its exit status as `subprocess` counts it.
"""

import importlib
import itertools
import json
import os
import signal
import sys
from pathlib import Path

import tessera.stages
from tessera.io import files


def run_stage(
    stage: str, argv: list[str], log: str, die_at: int | None, environment: dict[str, str]
) -> None:
    """What the child does; never returns."""
    os.environ.update(environment)
    output = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # the questions are the parent's
    if die_at is not None:
        kill_at(die_at)
    status = 1
    try:
        status = sys.modules[f"tessera.stages.{stage}"].main(argv)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)


def kill_at(count: int) -> None:
    """Kills this process at a file's last moment: its content is whole, its name is not."""
    calls, sync = itertools.count(), os.fsync

    def fsync(handle: int) -> None:
        sync(handle)
        if next(calls) == count:
            os.kill(os.getpid(), signal.SIGKILL)

    files.os.fsync = fsync


def main() -> None:
    """Answers questions until the input ends."""
    for path in sorted(Path(tessera.stages.__path__[0]).glob("[a-z]*.py")):
        importlib.import_module(f"tessera.stages.{path.stem}")
    importlib.import_module("dask.array")  # the stages import it late
    for line in sys.stdin:
        question = json.loads(line)
        if "wait" in question:
            answer = os.waitstatus_to_exitcode(os.waitpid(question["wait"], 0)[1])
        else:
            answer = os.fork()
            if answer == 0:
                run_stage(**question)
        print(answer, flush=True)


if __name__ == "__main__":
    main()
