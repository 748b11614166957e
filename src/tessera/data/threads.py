"""Work on many things at once, with the results in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar, cast

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 4
"""Things a thread may be ahead of whoever takes the results: what is waiting fills memory."""


def ordered_map(
    function: Callable[[T], R], things: Iterable[T], workers: int = 1, ahead: int | None = None
) -> Iterator[R]:
    """`map`, by several threads; the results are those of one thread, in the same order.

    Args:
        function: called once for each thing.
        things: read by the calling thread alone, a few ahead of the results.
        workers: threads; with 1 all is done in the calling thread.
        ahead: things that wait to be taken at most; None is a few a thread. What takes results by
            the batch and then works on them sets it to a batch: the threads make the next one
            meanwhile.
    """
    if workers <= 1:
        yield from map(function, things)
        return
    ahead = AHEAD * workers if ahead is None else ahead
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for thing in things:
                waiting.append(pool.submit(function, thing))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def read_ahead(things: Iterable[T]) -> Iterator[T]:
    """The same things; another thread makes the next one while the caller works on one."""
    iterator, end = iter(things), object()
    with ThreadPoolExecutor(1) as pool:
        waiting: Future[T | object] = pool.submit(next, iterator, end)
        while (thing := waiting.result()) is not end:
            waiting = pool.submit(next, iterator, end)
            yield cast(T, thing)
