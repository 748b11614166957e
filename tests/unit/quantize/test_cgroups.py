"""The memory that a job's control groups give it, on made-up trees of Linux's files."""

from pathlib import Path

import pytest

from tessera.quantize.cgroups import free_in_groups

UNLIMITED = float("inf")
NO_LIMIT_1 = 9_223_372_036_854_771_712
"""What version 1 says where there is no limit."""


def process(root: Path, *lines: str) -> None:
    """Puts the process into these groups."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text("".join(f"{line}\n" for line in lines))


def second(root: Path, group: str, limit: int | str, used: int, stat: str = "anon 1\n") -> None:
    """A group of version 2."""
    folder = root / "sys/fs/cgroup" / group
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(stat)


def first(root: Path, group: str, limit: int, used: int, stat: str = "") -> None:
    """A group of version 1."""
    folder = root / "sys/fs/cgroup/memory" / group
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.limit_in_bytes").write_text(f"{limit}\n")
    (folder / "memory.usage_in_bytes").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(stat)


@pytest.mark.parametrize(
    ("job", "step", "free"),
    [((1000, 100), ("max", 90), 900), ((1000, 900), (500, 50), 100), (("max", 5), (500, 50), 450)],
)
def test_the_least_of_a_job_and_its_step(tmp_path, job, step, free):
    """SLURM limits the job, whose steps lie below it; other jobs do not count."""
    process(tmp_path, "0::/system.slice/job_7/step_0/task")
    second(tmp_path, "system.slice", "max", 10**6)
    second(tmp_path, "system.slice/job_7", *job)
    second(tmp_path, "system.slice/job_7/step_0", *step)
    second(tmp_path, "system.slice/job_8", 10, 10)
    assert free_in_groups(tmp_path) == free


def test_version_1_beside_version_2(tmp_path):
    """A hybrid machine: memory is version 1's."""
    process(tmp_path, "5:cpu,cpuacct:/slurm", "4:memory:/slurm/job_7", "0::/init.scope")
    first(tmp_path, "", NO_LIMIT_1, 10**6)
    first(tmp_path, "slurm/job_7", 1000, 300)
    assert free_in_groups(tmp_path) == 700


def test_files_that_were_read_make_way(tmp_path):
    """Checking what a job reads fills its group with files, which is not memory taken."""
    process(tmp_path, "0::/job")
    second(tmp_path, "job", 1000, 950, "anon 50\nactive_file 200\ninactive_file 700\n")
    assert free_in_groups(tmp_path) == 950
    (tmp_path / "proc/self/cgroup").write_text("4:memory:/job\n")
    own = "inactive_file 1\ntotal_active_file 100\ntotal_inactive_file 300\n"
    first(tmp_path, "job", 1000, 950, own)
    assert free_in_groups(tmp_path) == 450


@pytest.mark.parametrize("path", ["/", "/docker/4711", "/../../elsewhere"])
def test_a_container_sees_its_own_group_as_the_topmost(tmp_path, path):
    """Whatever the process's own file calls it."""
    process(tmp_path, f"0::{path}")
    second(tmp_path, "", 1000, 400)
    assert free_in_groups(tmp_path) == 600


def test_more_than_allowed_is_none(tmp_path):
    """A limit may be lowered below what is in use."""
    process(tmp_path, "0::/job")
    second(tmp_path, "job", 1000, 1200)
    assert free_in_groups(tmp_path) == 0


def test_no_limit(tmp_path):
    """Another system, no limit, or files that say nothing."""
    assert free_in_groups(tmp_path) == UNLIMITED
    process(tmp_path, "0::/job", "nonsense", "")
    assert free_in_groups(tmp_path) == UNLIMITED
    second(tmp_path, "job", "max", 5)
    assert free_in_groups(tmp_path) == UNLIMITED
    second(tmp_path, "job", "", 5)
    assert free_in_groups(tmp_path) == UNLIMITED
