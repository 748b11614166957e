"""What dask computes with, where it is threads; clusters are in tests/stages/test_dask.py."""

import operator
import threading
import time
from pathlib import Path

import dask
import pytest

from tessera.config.computing import Dask
from tessera.data.computing import compute_each, computing, fold


class Counter:
    """Counts how many calls run at once."""

    def __init__(self) -> None:
        self.running = self.most = 0
        self.lock = threading.Lock()

    def __call__(self, number: int) -> int:
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
        time.sleep(0.02)
        with self.lock:
            self.running -= 1
        return number


@pytest.mark.parametrize("threads", [1, 3])
def test_as_many_threads_as_the_job_has(threads):
    """Never more: the others are other jobs'."""
    counter = Counter()
    with computing(Dask(), threads, [], Path()) as at_once:
        dask.compute([dask.delayed(counter)(number) for number in range(12)])
    assert at_once == threads
    assert 1 <= counter.most <= threads


def test_no_more_results_than_run_at_once():
    """Results come in the order of their tasks, and tasks start when those before are taken."""
    started: list[int] = []

    def start(number: int) -> int:
        started.append(number)
        return number

    with computing(Dask(), 2, [], Path()):
        results = compute_each([dask.delayed(start)(number) for number in range(5)], at_once=2)
        assert next(results) == 0
        assert sorted(started) == [0, 1]
        assert list(results) == [1, 2, 3, 4]


@pytest.mark.parametrize("count", [1, 2, 7])
def test_results_are_joined_to_one(count):
    """In a row, whatever their number."""
    tasks = [dask.delayed(str)(number) for number in range(count)]
    with computing(Dask(), 2, [], Path()):
        (joined,) = dask.compute(fold(tasks, operator.add))
    assert joined == "0123456"[:count]
