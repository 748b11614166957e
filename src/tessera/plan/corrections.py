"""What finished runs say about the estimates of further ones.

A card tells how long its job took and how much memory. Where the jobs of a stage are finished that
the config asks for, on the device that is planned with, the estimates of the stage's other jobs are
multiplied by what these took over what was estimated of them.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tessera.config.jobs import node_of
from tessera.config.schema import Config
from tessera.errors import UserError
from tessera.plan.cost import Task
from tessera.plan.devices import Device

IMPORTS = 3.5
"""Seconds of a job before its card counts: the interpreter and torch."""


@dataclass(frozen=True)
class Correction:
    """Factors on a stage's estimates.

    Attributes:
        cards: finished jobs that they are of; 0 for none.
        seconds: factor on the time.
        memory: factor on the memory of the host.
    """

    cards: int = 0
    seconds: float = 1.0
    memory: float = 1.0


UNCORRECTED = Correction()
Expected = Callable[[Task, int, int], tuple[float, float]]
"""(job, threads, GPUs) → seconds and bytes of host memory that are estimated."""


def finished(config: Config, task: Task, card: str) -> dict[str, Any] | None:
    """The card of a job, if it was made with the settings that the config now has."""
    try:
        read: dict[str, Any] = json.loads(Path(card).read_text(encoding="utf-8"))
        made = node_of(config, task.stage, task.section, task.name, task.each)
        return read if read["node"] == made else None
    except (OSError, ValueError, KeyError, TypeError, UserError):
        return None


def correction(
    config: Config, jobs: Sequence[tuple[Task, str]], device: Device, expected: Expected
) -> Correction:
    """The factors of one stage.

    Args:
        config: the validated config.
        jobs: the stage's jobs and their cards.
        device: what is planned with; jobs that ran on others do not count.
        expected: what is estimated of a job.
    """
    took = wanted = memory = 0.0
    count = 0
    for task, card in jobs:
        read = finished(config, task, card)
        run = read.get("run", {}) if read else {}
        # A training that was stopped says how long its last stretch took.
        if not run or run.get("resumed_at", 0) or not _ran_on(device, str(run.get("device"))):
            continue
        seconds, held = expected(task, int(run["threads"]), _shared_by(run))
        took += float(run["seconds"]) + min(IMPORTS, seconds / 2)
        wanted += seconds
        memory = max(memory, 1e6 * float(run["peak_memory_mb"]) / held)
        count += 1
    return Correction(count, took / wanted, memory) if count else UNCORRECTED


def _shared_by(run: Mapping[str, Any]) -> int:
    """How many GPUs shared the work: its processes; `gpus` has those of the first node alone."""
    return max(1, int(run.get("processes") or len(run.get("gpus", ()))))


def _ran_on(device: Device, name: str) -> bool:
    return any(mark in name for mark in device.marks)
