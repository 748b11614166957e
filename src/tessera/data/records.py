"""One image as every kind of file gives it, and what its readers share."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tessera.data.pixels import MAX_FILE_BYTES
from tessera.errors import UserError

Entry = dict[str, Any]
"""A shard in the index: `{"file", "count", "first", "format", …}`."""


@dataclass(frozen=True, slots=True)
class Record:
    """One image of a split.

    Attributes:
        number: its place in the split's order.
        label: its class, an index into the class names.
        where: where it is, for messages.
        read: returns the bytes of an image file.
        name: what `exclude` of the data set calls it; empty for packed images.
    """

    number: int
    label: int
    where: str
    read: Callable[[], bytes]
    name: str = ""


def held(data: bytes) -> Callable[[], bytes]:
    """What reads bytes that are in memory already."""
    return lambda: data


@dataclass(frozen=True, slots=True)
class Sample:
    """One image of a file that holds many, before labels are classes.

    Attributes:
        names: what `exclude` may call it, the most usual name first.
        label: a number or an identifier; None where the sample is excluded.
        data: the bytes of an image file; empty where only labels are asked for.
    """

    names: tuple[str, ...]
    label: int | str | None
    data: bytes = b""


def parse_label(value: Any, where: str) -> int | str:
    """A label as it is stored: a whole number, or an identifier such as n01440764.

    Raises:
        UserError: it is neither, or a number below 0, as test images have.
    """
    if isinstance(value, str) and value.strip().removeprefix("-").isdecimal():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise UserError(
                f"{where} has the label {value}, which stands for none: name files of images "
                "with classes"
            )
        return value
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise UserError(
        f"{where} has no label that is a number or an identifier (it is {value!r}): set "
        "`label_key` of this data set, or mend the file"
    )


def require_size(size: int, where: str) -> None:
    """Raises UserError where an image's file claims a size that none has."""
    if size > MAX_FILE_BYTES:
        raise UserError(
            f"{where} is larger than any image ({size} bytes): mend the file, or leave it out"
        )


def require_unchanged(path: Path, entry: Entry) -> None:
    """Raises UserError unless a file is there with the size that it had when it was listed."""
    cure = "restore it, or run the stage `shards` again"
    if not path.is_file():
        raise UserError(f"{path} is no longer there: {cure}")
    if path.stat().st_size != entry["bytes"]:
        raise UserError(f"{path} is truncated or altered (its size differs): {cure}")


def require_count(path: Path, entry: Entry, seen: int) -> None:
    """Raises UserError unless a file held as many images as when it was listed."""
    if seen != entry["count"]:
        raise UserError(
            f"{path} holds {seen} images and held {entry['count']} when it was listed: run the "
            "stage `shards` again"
        )
