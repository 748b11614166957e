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

IMPORTS = {
    "stage1": "stage1",
    "stage2": "stage2",
    "autoencoder": "autoencoders",
    "encoder": "encoders",
    "codebook": "codebooks",
}
"""What `tessera import digit` calls a section of the config."""

STAND_INS = "stand-ins"
"""The folder of the files that `make imagenet-shape` makes for a rehearsal."""


def is_stand_in(path: str) -> bool:
    """Whether a file belongs to the rehearsal, which makes its own."""
    return STAND_INS in Path(path).parts


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
    except (FileNotFoundError, NotADirectoryError) as error:
        word = next(word for word, known in IMPORTS.items() if known == section)
        cure = f"run `tessera import digit {word} FILE --out {folder}`"
        cure += " (docs/imagenet.md says which file), or correct `path`"
        if is_stand_in(folder):
            cure = "run `make imagenet-shape`, which makes them"
        raise UserError(f"no imported weights lie in {folder}: {cure}") from error
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


def require_files(folder: str, section: str) -> None:
    """Checks the digests of all files in a folder; reads them whole.

    Raises:
        UserError: there is no record, or a file is absent or not the one that was imported.
    """
    for name, digest in read_record(folder, section)["files"].items():
        file = Path(folder) / Path(name).name  # a record cannot name files elsewhere
        if not file.is_file() or sha256_of(str(file), None) != digest:
            raise UserError(
                f"{file} is absent or not what `tessera import` wrote (its SHA-256 differs): "
                "import the weights again"
            )


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
        cure = "download it (docs/imagenet.md says which it is), or correct the path"
        if is_stand_in(path):
            cure = "run `make imagenet-shape`, which makes it"
        raise UserError(f"the file {path} does not exist: {cure}")
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
    config = _read_map(Path(folder) / "model.json").get("config")
    return config if isinstance(config, dict) else {}


def imported_model(folder: str) -> str | None:
    """What kind of network lies in a folder, such as "MaskGIT"; None where that is not known."""
    return _read_map(Path(folder) / "model.json").get("model")


def imported_facts(folder: str) -> dict[str, Any]:
    """What the record of a folder tells beside its digests, such as a codebook's clusters."""
    facts = _read_map(Path(folder) / RECORD).get("facts")
    return facts if isinstance(facts, dict) else {}


def _read_map(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def contents(folder: str, section: str) -> str:
    """A digest of what a folder holds; the same wherever it lies."""
    return sha256_json({"section": section, "files": read_record(folder, section)["files"]})
