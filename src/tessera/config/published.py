"""What a folder of published weights holds, by the record that `tessera import` left in it."""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from tessera.config.canonical import sha256_json
from tessera.errors import UserError

RECORD = "published.json"
"""Written last by `tessera import`: section, source, digest of each file."""


@cache
def read_record(folder: str, section: str) -> dict[str, Any]:
    """The record of a folder.

    Args:
        folder: the folder that `tessera import` wrote.
        section: the section of the config that names it.

    Raises:
        UserError: no such folder, a damaged record, or weights for another section.
    """
    file = Path(folder) / RECORD
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        found, files = record["section"], record["files"]
    except FileNotFoundError as error:
        raise UserError(
            f"{file} does not exist: write the folder with `tessera import digit`, or correct "
            "`path` in the config"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{file} is no record of imported weights: delete the folder and run "
            "`tessera import digit` again"
        ) from error
    if found != section or not isinstance(files, dict):
        raise UserError(
            f"{folder} holds weights for {found}, but the config names it in {section}: correct "
            "`path` in the config"
        )
    return dict(record)


def sha256_of(path: str, wanted: str | None) -> str:
    """The SHA-256 of a file that somebody else made, such as weights.

    Read once, as long as the file stays as it is.

    Args:
        path: the file.
        wanted: the digest that it must have, or the first digits of it; None takes any.

    Raises:
        UserError: the file does not exist, or has another digest.
    """
    file = Path(path)
    if not file.is_file():
        raise UserError(f"the file {path} does not exist: download it, or correct the path")
    state = file.stat()
    found = _digest(path, state.st_size, state.st_mtime_ns)
    if wanted is not None and not found.startswith(wanted):
        raise UserError(
            f"the file {path} has the SHA-256 {found}, the config says {wanted}: download it "
            "again, or correct the config"
        )
    return found


@cache
def _digest(path: str, size: int, time: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def imported_sizes(folder: str) -> dict[str, Any]:
    """The sizes of the model in a folder; empty where they cannot be read.

    For checks before a run. The stage that adopts the folder says what is wrong with it.
    """
    try:
        config = json.loads((Path(folder) / "model.json").read_text(encoding="utf-8"))["config"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return config if isinstance(config, dict) else {}


def contents(folder: str, section: str) -> str:
    """A digest of what a folder holds; the same wherever it lies."""
    return sha256_json({"section": section, "files": read_record(folder, section)["files"]})
