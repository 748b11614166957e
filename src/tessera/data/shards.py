"""Images in WebDataset tar shards: `00000012.png` beside `00000012.cls`.

An image's number is its place in the split's order, so it does not depend on how many shards the
split is cut into. Members are read in memory and never extracted, so no archive can write anywhere.
"""

import io
import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from tessera.data.pixels import FORMATS, MAX_FILE_BYTES, decode, png_bytes, resize_shorter
from tessera.data.tar import members
from tessera.errors import UserError
from tessera.io.files import sha256_file, whole_file

if TYPE_CHECKING:
    from tessera.data.sources import Item

_MEMBER = re.compile(r"(\d{8,})\.([a-z0-9]+)")


@dataclass(frozen=True)
class Packed:
    """What was packed of one split.

    Attributes:
        count: images packed.
        per_class: images a class.
        shards: `{"file", "sha256", "count", "first"}` each; `first` is its first image's number.
        skipped: `{"name", "reason"}` of the images that could not be read.
    """

    count: int = 0
    per_class: list[int] = field(default_factory=list)
    shards: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)

    def json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def pack(
    items: Sequence["Item"],
    paths: Sequence[Path],
    classes: int,
    shorter_side: int | None,
    max_corrupt_share: float,
) -> Packed:
    """Packs one split into tar shards of nearly equal size.

    Args:
        items: the images in their order.
        paths: the shards' files.
        classes: number of classes.
        shorter_side: images are reduced or enlarged (bicubic) to this shorter side and stored as
            PNG; None stores the files' own bytes.
        max_corrupt_share: share of unreadable images above which packing fails.

    Returns:
        What was packed; unreadable images are left out and listed.

    Raises:
        UserError: too many unreadable images, none left, or fewer images than shards.
    """
    skipped: list[dict[str, str]] = []
    per_class = [0] * classes
    shards: list[dict[str, Any]] = []
    if len(items) < len(paths):
        raise UserError(
            f"{len(items)} images do not fill {len(paths)} shards: lower `shards` of this data set"
        )
    bounds = np.linspace(0, len(items), len(paths) + 1).astype(int)
    first = 0
    for path, start, stop in zip(paths, bounds[:-1], bounds[1:], strict=True):
        # Image by image: a shard of ImageNet does not fit into memory.
        entries = _readable(items[start:stop], shorter_side, per_class, skipped)
        count = _write_shard(path, entries, first)
        entry = {"file": path.name, "sha256": sha256_file(path), "count": count, "first": first}
        shards.append(entry)
        first += count
    if len(skipped) > max_corrupt_share * len(items) or not first:
        raise UserError(
            f"{len(skipped)} of {len(items)} images cannot be read, the first of them "
            f"{skipped[0]['name']}: {skipped[0]['reason']}; repair or remove them, or raise "
            "`max_corrupt_share` of this data set"
        )
    return Packed(first, per_class, shards, skipped)


def _readable(
    items: Iterable["Item"],
    shorter_side: int | None,
    per_class: list[int],
    skipped: list[dict[str, str]],
) -> Iterator[tuple["Item", bytes, str]]:
    """The items that can be read, as they are to be stored; counts them, and lists the others."""
    for item in items:
        try:
            data, suffix = _stored(item, shorter_side)
        except UserError as error:
            skipped.append({"name": item.name, "reason": str(error)})
            continue
        per_class[item.label] += 1
        yield item, data, suffix


def _stored(item: "Item", shorter_side: int | None) -> tuple[bytes, str]:
    """The bytes to store and their file suffix; decodes the whole image to be sure of it."""
    try:
        data = item.read()
    except OSError as error:
        raise UserError(f"it cannot be read ({error.strerror})") from error
    image = decode(data)
    if shorter_side is not None and min(image.size) != shorter_side:
        return png_bytes(resize_shorter(image, shorter_side)), "png"
    kind = Image.open(io.BytesIO(data), formats=FORMATS).format or "png"
    return data, kind.lower().replace("jpeg", "jpg")


def _write_shard(path: Path, entries: Iterable[tuple["Item", bytes, str]], first: int) -> int:
    """Writes one shard; returns its number of images."""
    number = first
    with whole_file(path) as temporary, tarfile.open(temporary, "w") as archive:
        for item, data, suffix in entries:
            for name, content in (
                (f"{number:08d}.{suffix}", data),
                (f"{number:08d}.cls", str(item.label).encode()),
            ):
                # Owner, mode and time are fixed: equal images make equal bytes.
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(content), 0o644
                archive.addfile(member, io.BytesIO(content))
            number += 1
    return number - first


def read_shard(path: Path, count: int | None = None) -> Iterator[tuple[int, bytes, int]]:
    """Reads a shard from start to end.

    Args:
        path: the tar file.
        count: the number of images that it must hold.

    Yields:
        The image's number, its file's bytes and its class.

    Raises:
        UserError: the shard is absent, truncated, or holds another number of images.
    """
    cure = "delete it and run the stage `shards` again"
    waiting: dict[str, dict[str, bytes]] = {}
    seen = 0
    try:
        for member in members(path):
            named = _MEMBER.fullmatch(member.name)
            if not named or member.kind != "file" or member.size > MAX_FILE_BYTES:
                raise UserError(f"{path} holds a member that is no image: {cure}")
            key, suffix = named.groups()
            entry = waiting.setdefault(key, {})
            entry["cls" if suffix == "cls" else "image"] = member.read()
            if len(entry) == 2:
                seen += 1
                del waiting[key]
                yield int(key), entry["image"], int(entry["cls"])
    except FileNotFoundError as error:
        raise UserError(f"the shard {path} does not exist: run the stage `shards`") from error
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise UserError(f"the shard {path} is damaged or truncated ({error}): {cure}") from error
    if waiting or (count is not None and seen != count):
        wanted = f" of {count}" if count is not None else ""
        raise UserError(f"the shard {path} is truncated ({seen}{wanted} images): {cure}")
