"""The folder that an import leaves: its files, and the record that says whose they are."""

import shutil
from pathlib import Path
from typing import Any

from tessera.config.published import RECORD
from tessera.errors import UserError
from tessera.io.files import read_json, sha256_file, write_json
from tessera.reference.reading import Found

FILES = ("model.safetensors", "model.json", "centroids.npy")


def require_free(out: Path, source: Path, section: str) -> None:
    """Checks that a folder may be written; called before anything large is read.

    A new or an empty folder may, and one that an earlier import for the same section left.

    Raises:
        UserError: it holds something else, or the file to be read itself.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file: name a folder")
    there = {file.name for file in out.iterdir()} if out.is_dir() else set()
    if not there:
        return
    if source.resolve().parent == out.resolve():
        raise UserError(f"--out {out} is the folder of {source.name} itself: name another folder")
    unknown = sorted(there - {*FILES, RECORD})
    if unknown or RECORD not in there:
        raise UserError(
            f"--out {out} holds {', '.join((unknown or sorted(there))[:3])}, which no finished "
            "import left there: name another folder, or delete it"
        )
    before = read_json(out / RECORD)
    if not isinstance(before, dict) or before.get("section") != section:
        raise UserError(
            f"--out {out} holds an import for another section of the config: name another folder, "
            "or delete it"
        )


def write_import(out: Path, found: Found, source: Path) -> None:
    """Writes the files of an import, its record last; an error leaves none of them.

    Args:
        out: the folder; `require_free` has passed.
        found: what was read.
        source: the file that it was read from.
    """
    created = not out.exists()
    digest = sha256_file(source)
    out.mkdir(parents=True, exist_ok=True)
    # Without the record, what an earlier import left counts for nothing.
    for name in (RECORD, *FILES):
        (out / name).unlink(missing_ok=True)
    try:
        files = found.write(out)
        record: dict[str, Any] = {
            "section": found.section,
            "source": {"file": source.name, "sha256": digest},
            "files": {file.name: sha256_file(file) for file in files},
            "facts": found.facts,
        }
        write_json(out / RECORD, record)
    except BaseException:
        for name in (RECORD, *FILES):
            (out / name).unlink(missing_ok=True)
        if created:
            shutil.rmtree(out, ignore_errors=True)
        raise
