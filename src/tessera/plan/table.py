"""The plan of a run as rows: one a rule, and their sum."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from tessera.plan.corrections import finished
from tessera.plan.cost import Task
from tessera.plan.estimate import Estimate, Planner
from tessera.plan.remarks import assumed, warnings
from tessera.plan.schedule import Job, makespan
from tessera.plan.tasks import makes, needs

TOTAL = "total"


@dataclass(frozen=True)
class Row:
    """What the jobs of a rule take.

    Attributes:
        rule: the rule, or "total".
        device: what its networks run on.
        jobs: how many.
        done: how many of them are finished already.
        operations: floating-point operations, all jobs.
        gpu_hours: GPUs held times hours, all jobs.
        longest_s: seconds of its longest job.
        walltime_s: seconds of all jobs, as many at once as there are cores and GPUs.
        gpu_memory_bytes: bytes of a GPU at the peak.
        host_memory_bytes: bytes of a node at the peak, a job.
        kept_bytes: bytes on disk that stay.
        temporary_bytes: bytes on disk that go, of as many jobs as run at once.
        cards: finished jobs that corrected the estimates.
        factor: factor on the time by which they did; None for none.
    """

    rule: str
    device: str
    jobs: int
    done: int
    operations: float
    gpu_hours: float
    longest_s: float
    walltime_s: float
    gpu_memory_bytes: float
    host_memory_bytes: float
    kept_bytes: float
    temporary_bytes: float
    cards: int
    factor: float | None


@dataclass(frozen=True)
class Plan:
    """A run before it starts.

    Attributes:
        rows: one a rule, in the order of the data; the total last.
        due: bytes on disk that the jobs take which are not finished.
        warnings: what will not fit, one sentence each.
        assumed: what the numbers rest on and nobody looked at, one sentence each.
    """

    rows: list[Row]
    due: float
    warnings: list[str]
    assumed: list[str]


def plan(planner: Planner, cores: int, gpus: int, free: float) -> Plan:
    """What a run takes.

    Args:
        planner: estimates the jobs of its config.
        cores: CPU cores that all jobs together may hold.
        gpus: GPUs that they may hold.
        free: bytes that the disk of the results has free.
    """
    config = planner.config
    listed = [(task, planner.estimate(task), card) for task, card in planner.tasks]
    done = [finished(config, task, card) is not None for task, _, card in listed]
    by_rule: dict[str, list[int]] = defaultdict(list)
    for i, (task, _, _) in enumerate(listed):
        by_rule[task.stage].append(i)
    rows = []
    for rule, which in by_rule.items():
        found = [listed[i][1] for i in which]
        rows.append(_row(planner, rule, found, sum(done[i] for i in which), cores, gpus))
    jobs = [_job(planner, task, estimate) for task, estimate, _ in listed]
    rows.append(_total(rows, makespan(jobs, cores, gpus), min(len(listed), max(gpus, cores))))
    left = [
        (task, estimate) for (task, estimate, _), over in zip(listed, done, strict=True) if not over
    ]
    due = sum(estimate.kept for _, estimate in left) + rows[-1].temporary_bytes
    return Plan(rows, due, warnings(planner, left, due, free), assumed(planner))


def _job(planner: Planner, task: Task, estimate: Estimate) -> Job:
    execution = planner.config.execute(task.stage)
    held = execution.gpus * execution.nodes
    waits = frozenset(needs(planner.config, task))
    return Job(makes(task), waits, estimate.seconds, execution.threads, held)


def _row(
    planner: Planner, rule: str, found: Sequence[Estimate], done: int, cores: int, gpus: int
) -> Row:
    execution = planner.config.execute(rule)
    held = execution.gpus * execution.nodes
    at_once = max(1, cores // execution.threads)
    at_once = min(at_once, max(1, gpus // held)) if held else at_once
    seconds = sum(estimate.seconds for estimate in found)
    longest = max(estimate.seconds for estimate in found)
    largest = sorted((estimate.temporary for estimate in found), reverse=True)
    return Row(
        rule,
        found[0].device.title,
        len(found),
        done,
        sum(estimate.operations for estimate in found),
        sum(estimate.gpu_seconds for estimate in found) / 3600,
        longest,
        max(longest, seconds / min(at_once, len(found))),
        max(estimate.gpu_memory for estimate in found),
        max(estimate.host_memory for estimate in found),
        sum(estimate.kept for estimate in found),
        sum(largest[:at_once]),
        found[0].correction.cards,
        found[0].correction.seconds if found[0].correction.cards else None,
    )


def _total(rows: Sequence[Row], walltime: float, at_once: int) -> Row:
    temporary = sorted((row.temporary_bytes for row in rows), reverse=True)
    return Row(
        TOTAL,
        "",
        sum(row.jobs for row in rows),
        sum(row.done for row in rows),
        sum(row.operations for row in rows),
        sum(row.gpu_hours for row in rows),
        max(row.longest_s for row in rows),
        walltime,
        max(row.gpu_memory_bytes for row in rows),
        max(row.host_memory_bytes for row in rows),
        sum(row.kept_bytes for row in rows),
        sum(temporary[:at_once]),
        sum(row.cards for row in rows),
        None,
    )
