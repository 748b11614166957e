"""How long jobs take together, by hand."""

from tessera.plan.schedule import Job, makespan

NOTHING: frozenset[tuple[str, str]] = frozenset()


def job(name: str, seconds: float, *needs: str, cores: int = 1, gpus: int = 0) -> Job:
    return Job(("x", name), frozenset(("x", need) for need in needs), seconds, cores, gpus)


def test_one_after_the_other_or_beside():
    """As many at once as there are cores."""
    jobs = [job(name, 2) for name in "abcd"]
    assert [makespan(jobs, cores, 0) for cores in (1, 2, 3, 4)] == [8, 4, 4, 2]


def test_what_needs_waits():
    """A diamond: the longer side decides."""
    jobs = [job("a", 1), job("b", 5, "a"), job("c", 2, "a"), job("d", 1, "b", "c")]
    assert makespan(jobs, 2, 0) == 7
    assert makespan(jobs, 1, 0) == 9


def test_all_parts_are_waited_for():
    """Of one variant; and a job of a variant may wait for its earlier ones."""
    jobs = [job("a", 1), job("a", 4), job("a", 1, "a"), job("b", 1, "a")]
    assert makespan(jobs, 8, 0) == 6


def test_gpus_are_shared():
    """Two at once of three; CPU jobs run beside them."""
    jobs = [job(name, 3, gpus=1) for name in "abc"] + [job("d", 6)]
    assert makespan(jobs, 8, 2) == 6
    assert makespan(jobs, 8, 1) == 9


def test_the_longest_chain_goes_first():
    """Otherwise it would end last: short jobs fill the gaps."""
    jobs = [job("a", 1), job("b", 1), job("c", 1), job("d", 9, "c")]
    assert makespan(jobs, 2, 0) == 10


def test_more_than_there_is():
    """A job that asks for more cores and GPUs than there are still runs."""
    assert makespan([job("a", 1, cores=16, gpus=4), job("b", 1, cores=16)], 2, 1) == 2


def test_no_jobs():
    """Nothing takes no time."""
    assert makespan([], 1, 1) == 0
