"""Threads that each compute on one core.

Steps on blocks that fit a core's cache are faster side by side than one after the other with all
threads in each: nobody waits between a product and the search of its result. And since each block
is computed by one thread, results do not depend on how many there are.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier, Lock
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")
_starting = Lock()
"""Held while threads are started: two that begin together shall share them."""


def each(function: Callable[[T], R], things: Sequence[T]) -> list[R]:
    """The function's results for all things, in order, by as many threads as torch uses here."""
    with _starting:
        pool = _pool(torch.get_num_threads())
    return list(pool.map(function, things))


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    started = Barrier(threads + 1)

    def begin() -> None:
        # torch reads its number of threads once in each thread: before it is set here, or later
        # than it is set back below, it would be all of them.
        torch.get_num_threads()
        torch.set_num_threads(1)
        started.wait()

    pool = ThreadPoolExecutor(threads, "assign", initializer=begin)
    try:
        for _ in range(threads):  # one starts a task, as none is idle
            pool.submit(int)
        started.wait()
    except BaseException:  # such as one thread more than the system allows
        started.abort()  # else those that did start would wait for the others for ever
        raise
    finally:
        torch.set_num_threads(threads)  # also that of threads that begin later
    return pool
