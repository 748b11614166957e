"""Stage versions: the part of a stage's settings that stands for its code.

`stages.lock.json` holds, per stage, its version and the fingerprint of the source it runs. The
version is part of the stage's settings, so raising it reruns the stage everywhere.
"""

import json
from functools import cache
from pathlib import Path

LOCK = Path(__file__).parent / "stages.lock.json"


@cache
def stage_versions() -> dict[str, int]:
    """Stage → version, from the lock file."""
    return {stage: entry["version"] for stage, entry in json.loads(LOCK.read_text()).items()}
