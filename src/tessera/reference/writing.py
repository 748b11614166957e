"""The folder that an import leaves: its files, and the record that says whose they are."""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from tessera.config.published import RECORD
from tessera.errors import UserError
from tessera.io.files import is_disk_full, read_json, sha256_file, write_json
from tessera.reference.reading import Found

FILES = ("model.safetensors", "model.json", "centroids.npy")


def require_free(out: Path, source: Path, section: str, digest: str) -> None:
    """Checks that a folder may be written; called before anything large is read.

    A new or an empty folder may, and one that an earlier import of the same file left.

    Args:
        out: the folder.
        source: the file that is to be imported.
        section: the section of the config that it is for.
        digest: its SHA-256.

    Raises:
        UserError: it holds something else, or the file to be read itself, or cannot be a folder.
    """
    there = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    if not there.is_dir():
        raise UserError(f"--out {out} cannot be made, for {there} is a file: name a folder")
    names = {file.name for file in out.iterdir()} if out.is_dir() else set()
    if not names:
        return
    if source.resolve().parent == out.resolve():
        raise UserError(f"--out {out} is the folder of {source.name} itself: name another folder")
    strange = sorted(names - {*FILES, RECORD})
    if not strange and RECORD not in names:
        strange = sorted(names)
    before = None if strange else _read_record(out / RECORD)
    if before is None:
        raise UserError(
            f"--out {out} holds {', '.join(strange[:3] or [RECORD])}, which no finished import "
            "left there: name another folder, or delete it"
        )
    if before["section"] != section:
        raise UserError(
            f"--out {out} holds an import for another section of the config: name another folder, "
            "or delete it"
        )
    if before["source"].get("sha256") != digest:
        raise UserError(
            f"--out {out} holds an import of another file ({before['source'].get('file')}): name "
            "another folder, or delete it"
        )


def _read_record(file: Path) -> dict[str, Any] | None:
    """What an earlier import says of itself; None where the file is no record."""
    try:
        record = read_json(file)
    except (UserError, OSError):  # no stage writes it, so a repair would not make it again
        return None
    whole = isinstance(record, dict) and isinstance(record.get("source"), dict)
    return record if whole and isinstance(record.get("section"), str) else None


def write_import(out: Path, found: Found, source: Path, digest: str) -> None:
    """Writes the files of an import, its record last; an error leaves none of them.

    Args:
        out: the folder; `require_free` has passed.
        found: what was read.
        source: the file that it was read from.
        digest: its SHA-256.

    Raises:
        UserError: the folder cannot be made or written.
    """
    created = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        # Without the record, what an earlier import left counts for nothing.
        for name in (RECORD, *FILES):
            (out / name).unlink(missing_ok=True)
        files = found.write(out)
        record: dict[str, Any] = {
            "section": found.section,
            "source": {"file": source.name, "sha256": digest},
            "files": {file.name: sha256_file(file) for file in files},
            "facts": found.facts,
        }
        write_json(out / RECORD, record)
    except BaseException as error:
        _remove(out, created)
        if isinstance(error, OSError) and not is_disk_full(error):
            raise UserError(
                f"--out {out} cannot be written ({error.strerror or error}): name another folder"
            ) from error
        raise


def _remove(out: Path, created: bool) -> None:
    """Removes what an import wrote, and its folder where it made it."""
    with suppress(OSError):
        for name in (RECORD, *FILES):
            (out / name).unlink(missing_ok=True)
    if created:
        shutil.rmtree(out, ignore_errors=True)
