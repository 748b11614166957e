"""Stage versions: the part of a stage's settings that stands for its code.

`stages.lock.json` holds, per stage, its version and the fingerprint of the source it runs
(`tessera.fingerprint`). The version is part of the stage's settings, so raising it reruns the
stage everywhere.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parent / "stages.lock.json"

SHORT = 12
"""Hexadecimal digits kept of a module's hash: they only name what moved; the fingerprint decides."""

Lock = dict[str, dict[str, Any]]


@cache
def stage_versions() -> dict[str, int]:
    """Stage → version, from the lock file."""
    return {stage: entry["version"] for stage, entry in read_lock().items()}


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


def read_lock(path: Path | None = None) -> Lock:
    """The lock file: stage → `{"version", "fingerprint", "modules": {module: short hash}}`."""
    lock: Lock = json.loads((path or LOCK).read_text(encoding="utf-8"))
    return lock


def write_lock(lock: Lock, path: Path | None = None) -> None:
    """Writes the lock file, one module a line: two people's changes merge."""
    text = json.dumps(lock, indent=1) + "\n"
    (path or LOCK).write_text(text, encoding="utf-8")


def entry(version: int, fingerprint: str, modules: Mapping[str, str]) -> dict[str, Any]:
    """A stage's entry in the lock file."""
    short = {module: digest[:SHORT] for module, digest in sorted(modules.items())}
    return {"version": version, "fingerprint": fingerprint, "modules": short}


def find_move(stage: str, locked: Mapping[str, Any], now: Mapping[str, Any]) -> Move | None:
    """What moved between a stage's entry on record and its entry as the code stands now."""
    if locked["fingerprint"] == now["fingerprint"]:
        return None
    old, new = locked["modules"], now["modules"]
    return Move(
        stage,
        changed=tuple(module for module in new if module in old and old[module] != new[module]),
        added=tuple(module for module in new if module not in old),
        removed=tuple(module for module in old if module not in new),
    )
