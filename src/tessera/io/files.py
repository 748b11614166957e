"""Files that are either whole or absent.

A killed process must leave nothing that looks complete, so every file is written under a
temporary name in its own folder, flushed to the disk and then renamed (atomic on POSIX).
"""

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tessera.errors import UserError

REPAIR = "run `tessera repair`, which makes it again and nothing else"
"""What to do about a damaged result."""

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FULL_TEXTS = (*map(os.strerror, _FULL), "PytorchStreamWriter failed")


@contextmanager
def whole_file(path: Path | str) -> Iterator[Path]:
    """Yields a temporary path; renames it to `path` when the block ends without an error.

    Raises:
        UserError: the disk is full (or the quota used up); the temporary file is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes files that only their owner can read
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if is_disk_full(error):
            raise UserError(
                f"no space is left on the disk that holds {path.parent}: free some, or move the "
                "folder `results` of the config elsewhere, then run again"
            ) from error
        raise


def is_disk_full(error: BaseException | None) -> bool:
    """Whether `error`, or what caused it, says that no space is left.

    The writers of torch and safetensors raise errors of their own, some with the system's words.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        if any(words in str(error) for words in _FULL_TEXTS):
            return True
        error = error.__cause__ or error.__context__
    return False


def write_text(path: Path | str, text: str) -> None:
    """Writes `text` as UTF-8, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path | str, value: Any) -> None:
    """Writes JSON with sorted keys, whole or not at all; NaN is refused."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path | str) -> Any:
    """Reads a JSON file.

    Raises:
        UserError: the file is absent or no JSON.
    """
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: run the stage that writes it first") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no valid JSON: {REPAIR}") from error


def sha256_file(path: Path | str) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
