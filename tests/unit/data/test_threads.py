"""Work in several threads, results in order."""

import threading
import time

import pytest

from tessera.data.threads import AHEAD, ordered_map, read_ahead


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_are_in_order(workers):
    """Also where the first takes longest."""

    def slow(number: int) -> int:
        time.sleep(0.02 if number == 0 else 0)
        return number * number

    assert list(ordered_map(slow, range(50), workers)) == [n * n for n in range(50)]


def test_threads_work_at_once():
    """Two meet at a barrier, which one alone would never pass."""
    barrier = threading.Barrier(2, timeout=20)
    assert sorted(ordered_map(lambda _: barrier.wait(), range(2), 2)) == [0, 1]


def test_no_more_is_read_than_a_few_ahead():
    """Else a slow consumer would find the whole data set in memory."""
    read = []

    def things():
        for number in range(1000):
            read.append(number)
            yield number

    results = ordered_map(str, things(), 2)
    assert next(results) == "0"
    assert len(read) <= 2 * AHEAD + 1
    results.close()
    assert len(read) <= 2 * AHEAD + 1


def test_threads_go_on_while_nothing_is_taken():
    """The next batch is made while the consumer works on this one."""
    made = threading.Semaphore(0)
    results = ordered_map(lambda number: (made.release(), number)[1], range(100), 2, ahead=10)
    assert next(results) == 0
    for _ in range(11):  # the one that was taken, and those ahead
        assert made.acquire(timeout=20)
    assert not made.acquire(timeout=0.05)
    results.close()


@pytest.mark.parametrize("workers", [1, 3])
def test_the_first_error_is_raised_in_its_place(workers):
    """After the results before it."""

    def fail(number: int) -> int:
        if number in (4, 6):
            raise ValueError(f"number {number}")
        return number

    results = ordered_map(fail, range(20), workers)
    assert [next(results) for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="number 4"):
        next(results)


def test_the_next_thing_is_made_while_the_caller_works():
    """One ahead, and no more."""
    made = threading.Semaphore(0)

    def things():
        for number in range(9):
            made.release()
            yield number

    results = read_ahead(things())
    assert next(results) == 0
    for _ in range(2):
        assert made.acquire(timeout=20)
    assert not made.acquire(timeout=0.05)
    assert list(results) == list(range(1, 9))


def test_an_error_of_the_other_thread_is_raised():
    """After what came before it."""

    def things():
        yield 1
        raise OSError("gone")

    results = read_ahead(things())
    assert next(results) == 1
    with pytest.raises(OSError, match="gone"):
        next(results)
