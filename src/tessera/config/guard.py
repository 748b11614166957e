"""A config that changes while jobs run ends in an error.

On a cluster each job reads the config again. Edited while jobs wait, a job would train with the
new value while the old one is recorded. So the launching process fixes the config's digest in an
environment variable that all jobs inherit, and each job compares. Comments, labels, key order and
hardware knobs may change.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from tessera.config.load import load
from tessera.config.resolve import config_digest
from tessera.errors import UserError

VARIABLE = "TESSERA_CONFIG_GUARD"


def fix(files: Sequence[Path | str]) -> None:
    """Records the digest of these config files, or compares with the one on record.

    Args:
        files: the config files of this launch, in their order.

    Raises:
        UserError: the files no longer say what they said at the launch.
    """
    if VARIABLE in os.environ:
        check()
        return
    paths = [str(Path(file).resolve()) for file in files]
    os.environ[VARIABLE] = json.dumps({"files": paths, "digest": config_digest(load(paths))})


def check() -> None:
    """Compares the config files with the digest on record; does nothing where none is.

    Raises:
        UserError: the files no longer say what they said at the launch.
    """
    record = os.environ.get(VARIABLE)
    if record is None:
        return
    launched = json.loads(record)
    try:
        same = config_digest(load(launched["files"])) == launched["digest"]
        reason = "says something else now"
    except UserError as error:
        same, reason = False, f"is no longer valid ({error})"
    if not same:
        raise UserError(
            f"the config ({', '.join(launched['files'])}) {reason} than when the workflow was "
            "launched: put it back, or wait for the running jobs and launch again"
        )
