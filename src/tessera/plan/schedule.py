"""How long all jobs take together: they wait for one another, for cores and for GPUs."""

import heapq
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

Key = tuple[str, str]
"""What jobs make together: section and name of a variant, or "usage" and a token set."""


@dataclass(frozen=True)
class Job:
    """One job.

    Attributes:
        makes: what it is one of the makers of.
        needs: what must be made before: all earlier jobs that make it.
        seconds: how long it takes.
        cores: CPU cores that it holds.
        gpus: GPUs that it holds.
    """

    makes: Key
    needs: frozenset[Key]
    seconds: float
    cores: int
    gpus: int


def makespan(jobs: Sequence[Job], cores: int, gpus: int) -> float:
    """Seconds from the first job's start to the last one's end.

    Of the jobs that could start the one with the longest way to the end goes first. A job that asks
    for more than there is gets all there is, as Snakemake does with cores.

    Args:
        jobs: each after those that it needs; a job waits only for earlier ones.
        cores: CPU cores.
        gpus: GPUs.
    """
    waits, follows = _edges(jobs)
    left = _longest(jobs, follows)
    ready = [(-left[i], i) for i in range(len(jobs)) if not waits[i]]
    heapq.heapify(ready)
    running: list[tuple[float, int]] = []
    now, free = 0.0, [cores, gpus]
    held = [(min(job.cores, cores), min(job.gpus, gpus)) for job in jobs]
    while ready or running:
        waiting = []
        while ready:
            entry = heapq.heappop(ready)
            asked = held[entry[1]]
            if asked[0] <= free[0] and asked[1] <= free[1]:
                free = [free[0] - asked[0], free[1] - asked[1]]
                heapq.heappush(running, (now + jobs[entry[1]].seconds, entry[1]))
            else:
                waiting.append(entry)
        ready = waiting
        heapq.heapify(ready)
        now, done = heapq.heappop(running)
        free = [free[0] + held[done][0], free[1] + held[done][1]]
        for after in follows[done]:
            waits[after].discard(done)
            if not waits[after]:
                heapq.heappush(ready, (-left[after], after))
    return now


def _edges(jobs: Sequence[Job]) -> tuple[list[set[int]], list[list[int]]]:
    """For each job those that it waits for, and those that wait for it."""
    made: dict[Key, list[int]] = defaultdict(list)
    waits: list[set[int]] = []
    follows: list[list[int]] = [[] for _ in jobs]
    for i, job in enumerate(jobs):
        waits.append({before for key in job.needs for before in made[key]})
        for before in waits[i]:
            follows[before].append(i)
        made[job.makes].append(i)
    return waits, follows


def _longest(jobs: Sequence[Job], follows: Sequence[Sequence[int]]) -> list[float]:
    """Seconds of the longest chain that begins with each job."""
    longest = [0.0] * len(jobs)
    for i in reversed(range(len(jobs))):
        longest[i] = jobs[i].seconds + max((longest[j] for j in follows[i]), default=0.0)
    return longest
