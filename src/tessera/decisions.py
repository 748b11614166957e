"""Which stages' code moved since somebody decided about it, and the record of a decision.

Two decisions are possible. Accept: the results are the same (a refactoring, a faster path with
equal numbers), so the new fingerprint is recorded and nothing reruns. Bump: the results differ, so
the version is raised as well, and as it is part of the stage's settings the stage reruns wherever
it ran.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tessera.config.lock import Lock, entry
from tessera.fingerprint import Package, fingerprint

UNKNOWN = entry(1, "", {})
"""What is on record of a stage that is new."""


@dataclass(frozen=True)
class Move:
    """A stage whose code is not the code on record.

    Attributes:
        stage: the stage.
        changed: modules whose source differs.
        added: modules that the stage imports now and did not before.
        removed: modules that it no longer imports.
    """

    stage: str
    changed: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]

    def __str__(self) -> str:
        """One line: the stage and what moved it."""
        parts = [
            f"{verb} {', '.join(modules)}"
            for verb, modules in (
                ("changed", self.changed),
                ("newly imports", self.added),
                ("no longer imports", self.removed),
            )
            if modules
        ]
        return f"{self.stage}: {'; '.join(parts) or 'its fingerprint differs'}"


def find_moves(package: Package, lock: Lock, stages: Sequence[str]) -> list[Move]:
    """The stages whose code moved, each with the modules that moved it.

    Raises:
        FileNotFoundError: a stage has no module.
    """
    moves = []
    for stage in stages:
        locked = lock.get(stage, UNKNOWN)
        modules = package.modules(stage)
        now = entry(locked["version"], fingerprint(modules), modules)
        if now["fingerprint"] == locked["fingerprint"]:
            continue
        old, new = locked["modules"], now["modules"]
        changed = tuple(name for name in new if name in old and old[name] != new[name])
        added = tuple(name for name in new if name not in old)
        removed = tuple(name for name in old if name not in new)
        moves.append(Move(stage, changed, added, removed))
    return moves


def record(
    package: Package, lock: Lock, accept: Collection[str] = (), bump: Collection[str] = ()
) -> Lock:
    """The lock after a decision.

    Args:
        package: the source as it stands.
        lock: the lock before.
        accept: stages whose results stay the same.
        bump: stages whose results differ.

    Raises:
        FileNotFoundError: a stage has no module.
    """
    decided = dict(lock)
    for stage in (*accept, *bump):
        modules = package.modules(stage)
        version = lock.get(stage, UNKNOWN)["version"] + (stage in bump)
        decided[stage] = entry(version, fingerprint(modules), modules)
    return decided


def question(moves: Sequence[Move]) -> str:
    """What has to be decided, and by which commands."""
    stages = " ".join(move.stage for move in moves)
    lines = [
        *map(str, moves),
        "The code of these stages is not the code on record. Decide, for all or for each:",
        f"  results may differ:     tessera lock --bump {stages}",
        f"  results stay the same:  tessera lock --accept {stages}",
    ]
    return "\n".join(lines)
