"""How much memory a job's control groups still give it.

A scheduler such as SLURM gives a job a part of a node's memory; what is free on the node says
nothing of that part. Linux keeps such limits in control groups, of which there are two versions
with other files; a limit of any group above the job's counts too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class _Version:
    """The names that a version of control groups gives its files and numbers."""

    mounts: tuple[str, ...]
    limit: str
    used: str
    caches: tuple[str, ...]


V2 = _Version(
    ("sys/fs/cgroup", "sys/fs/cgroup/unified"),
    "memory.max",
    "memory.current",
    ("active_file", "inactive_file"),
)
V1 = _Version(
    ("sys/fs/cgroup/memory",),
    "memory.limit_in_bytes",
    "memory.usage_in_bytes",
    ("total_active_file", "total_inactive_file"),
)


def free_in_groups(root: Path = Path("/")) -> float:
    """Bytes that this process may still take by the limits of its control groups.

    What the groups hold of files is not counted as taken, since it makes way.

    Args:
        root: the folder that `proc` and `sys` are in.

    Returns:
        The least of limit less use over the process's groups and all above them; infinity where
        none has a limit, or none can be read.
    """
    return min((_left(group, version) for group, version in _groups(root)), default=float("inf"))


def _groups(root: Path) -> Iterator[tuple[Path, _Version]]:
    """The folders of the process's groups of memory and of all above them."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # no Linux
        return
    for line in lines:
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        if "memory" in controllers.split(","):
            version = V1
        elif number == "0" and not controllers:
            version = V2
        else:
            continue
        # A container may name groups that lie outside of what it sees (`/../other`): then, as
        # where a folder is absent, only what it does see counts.
        parts = [part for part in path.split("/") if part]
        for mount in version.mounts:
            for depth in range(len(parts) + 1 if ".." not in parts else 1):
                yield root.joinpath(mount, *parts[:depth]), version


def _left(group: Path, version: _Version) -> float:
    """What a group may still take, bytes; infinity where it has no limit."""
    try:
        limit, used = (
            int((group / file).read_text()) for file in (version.limit, version.used)
        )  # `max`, version 2's word for no limit, is no number
    except (OSError, ValueError):
        return float("inf")
    try:
        lines = (group / "memory.stat").read_text().splitlines()
        numbers = dict(line.split(" ", 1) for line in lines)
        used -= sum(int(numbers.get(name, 0)) for name in version.caches)
    except (OSError, ValueError):
        pass
    return float(max(0, limit - max(0, used)))
