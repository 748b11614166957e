"""Samples of WebDataset tar files, read in place.

A sample is a run of members whose names are equal up to the first dot: `n01440764_10026.jpg`,
`n01440764_10026.cls`, `n01440764_10026.json`. Nothing is ever extracted to the disk: members are
read in memory, and only images and labels of a sane size.
"""

import json
import os
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tessera.config.data import WebDatasetData
from tessera.config.sources import SUFFIXES
from tessera.data.records import Sample, parse_label, require_size
from tessera.data.tar import Member, members
from tessera.errors import UserError

_MEMBER = re.compile(r"((?:.*/)?[^./]+)\.([^/]+)", re.DOTALL)

MAX_LABEL_BYTES = 2**20
"""No label or description is larger."""


def samples(
    path: Path, settings: WebDatasetData, exclude: frozenset[str], images: bool
) -> Iterator[Sample]:
    """Reads a tar file from start to end.

    Args:
        path: the file.
        settings: which field holds the label.
        exclude: names of samples that need have no label.
        images: read the images; otherwise their bytes are passed over, which takes seconds where
            reading takes minutes.

    Raises:
        UserError: it is no tar file or a truncated one, or a sample has no image or no label.
    """
    key, fields = "", dict[str, bytes | None]()
    for member in _members(path):
        found = _MEMBER.fullmatch(member.name.removeprefix("./"))
        if not found:
            continue  # a file that belongs to no sample
        if found[1] != key:
            yield from _sample(path, key, fields, settings.label_key, exclude)
            key, fields = found[1], {}
        suffix = found[2].lower()
        if f".{suffix}" in SUFFIXES:
            require_size(member.size, f"{path}, {member.name}")
            fields[suffix] = _content(path, member) if images else None
        elif suffix == "cls" or (suffix == "json" and ("cls" not in fields or settings.label_key)):
            if member.size > MAX_LABEL_BYTES:
                raise UserError(
                    f"{path}, {member.name} is larger than any label ({member.size} bytes): mend it"
                )
            fields[suffix] = _content(path, member)
    yield from _sample(path, key, fields, settings.label_key, exclude)


def _members(path: Path) -> Iterator[Member]:
    try:
        for member in members(path):
            if member.kind == "other":
                raise UserError(
                    f"{path} holds {member.name}, which is a link or a device and no file: "
                    "write the tar file again with the files themselves"
                )
            if member.kind == "file":
                yield member
    except (tarfile.TarError, EOFError, OSError) as error:
        raise _damaged(path, error) from error


def _content(path: Path, member: Member) -> bytes:
    try:
        return member.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> UserError:
    cure = "restore it, or leave it out"
    if isinstance(error, FileNotFoundError):
        return UserError(f"{path} is no longer there: {cure}")
    return UserError(f"{path} is damaged, truncated or no plain tar file ({error}): {cure}")


def _sample(
    path: Path,
    key: str,
    members: dict[str, bytes | None],
    label_key: str | None,
    exclude: frozenset[str],
) -> Iterator[Sample]:
    """The sample that a run of members makes; none where they are no sample."""
    if not members:
        return
    where = f"{path}, sample {key}"
    names = (key, f"{os.path.basename(path)}:{key}")
    pictures = [suffix for suffix in members if f".{suffix}" in SUFFIXES]
    if not pictures and "cls" not in members:
        return  # a description of the whole set
    if not exclude.isdisjoint(names):
        yield Sample(names, None)
        return
    if len(pictures) != 1:
        raise UserError(
            f"{where} has {len(pictures) or 'no'} images, and one is needed: members of a sample "
            "follow each other and are named alike up to the first dot; mend the file, or add "
            f"{key!r} to `exclude` of this data set"
        )
    label = parse_label(_label(members, label_key, where), where)
    yield Sample(names, label, members[pictures[0]] or b"")


def _label(members: dict[str, bytes | None], label_key: str | None, where: str) -> Any:
    try:
        if label_key is None and "cls" in members:
            return (members["cls"] or b"").decode()
        fields = json.loads(members["json"] or b"") if "json" in members else {}
    except ValueError as error:
        raise UserError(f"{where} has a label that cannot be read ({error}): mend it") from error
    tried = ("label", "cls") if label_key is None else (label_key,)
    for name in tried:
        if isinstance(fields, dict) and name in fields:
            return fields[name]
    stored = ", ".join(sorted(members))
    raise UserError(
        f"{where} has no label: looked for {' and '.join(map(repr, tried))} in its json"
        f"{' and for a cls' if label_key is None else ''}, found {stored}; set `label_key` of "
        "this data set, or mend the file"
    )
