"""Threads that compute on one core each."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import Any

import pytest
import torch

from tessera.quantize import workers


@pytest.fixture(autouse=True)
def _own_pool() -> Iterator[None]:
    """Nothing is left of the threads of other tests, nor for them."""
    workers._pool.cache_clear()
    yield
    workers._pool.cache_clear()


def test_results_come_in_order() -> None:
    """And each thread computes by itself, while the caller's number of threads stays."""
    threads = torch.get_num_threads()
    assert workers.each(lambda x: (2 * x, torch.get_num_threads()), range(5)) == [
        (2 * x, 1) for x in range(5)
    ]
    assert torch.get_num_threads() == threads


def test_threads_that_begin_together_share_a_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes to start."""
    made = []

    class Slow(ThreadPoolExecutor):
        def __init__(self, *given: Any, **named: Any) -> None:
            made.append(self)
            time.sleep(0.1)
            super().__init__(*given, **named)

    monkeypatch.setattr(workers, "ThreadPoolExecutor", Slow)
    callers = [Thread(target=workers.each, args=(abs, [-1, -2])) for _ in range(2)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(made) == 1


def test_a_thread_that_cannot_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """And no endless wait of those that did; the next call tries again."""
    made = []

    class Limited(ThreadPoolExecutor):
        def submit(self, *given: Any, **named: Any) -> Any:
            made.append(self)
            if len(made) == 2:
                raise RuntimeError("can't start new thread")
            return super().submit(*given, **named)

    before = torch.get_num_threads()
    monkeypatch.setattr(workers, "ThreadPoolExecutor", Limited)
    torch.set_num_threads(2)
    try:
        with pytest.raises(RuntimeError, match="can't start new thread"):
            workers.each(abs, [-1, -2])
        (started,) = made[0]._threads
        started.join(timeout=10)
        assert not started.is_alive()
        assert torch.get_num_threads() == 2
        assert workers.each(abs, [-1, -2]) == [1, 2]
    finally:
        torch.set_num_threads(before)
