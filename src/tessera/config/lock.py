"""Stage versions: the part of a stage's settings that stands for its code.

`stages.lock.json` holds, per stage, its version and the fingerprint of the source it runs
(`tessera.fingerprint`). The version is part of the stage's settings, so raising it reruns the
stage everywhere (`tessera.decisions`).
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parent / "stages.lock.json"

SHORT = 12
"""Digits kept of a module's hash: they only name what moved; the fingerprint decides."""

Lock = dict[str, dict[str, Any]]


@cache
def stage_versions() -> dict[str, int]:
    """Stage → version, from the lock file."""
    return {stage: entry["version"] for stage, entry in read_lock().items()}


def read_lock(path: Path | None = None) -> Lock:
    """The lock file: stage → `{"version", "fingerprint", "modules": {module: short hash}}`."""
    lock: Lock = json.loads((path or LOCK).read_text(encoding="utf-8"))
    return lock


def write_lock(lock: Lock, path: Path | None = None) -> None:
    """Writes the lock file, one module a line, so that the changes of two people merge."""
    (path or LOCK).write_text(json.dumps(lock, indent=1) + "\n", encoding="utf-8")


def entry(version: int, fingerprint: str, modules: Mapping[str, str]) -> dict[str, Any]:
    """A stage's entry in the lock file."""
    short = {module: digest[:SHORT] for module, digest in sorted(modules.items())}
    return {"version": version, "fingerprint": fingerprint, "modules": short}
