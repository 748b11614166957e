"""The images of one shard of an index, whatever kind of file it is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from tessera.config.data import ParquetData, WebDatasetData
from tessera.data.listing import read_list
from tessera.data.records import Entry, Record, held
from tessera.data.scan import read_file
from tessera.data.shards import read_shard
from tessera.errors import UserError


def read(entry: Entry, folder: Path, source: dict[str, Any]) -> Iterator[Record]:
    """Reads a shard from front to back.

    Args:
        entry: the shard's entry in the index.
        folder: where the index lies.
        source: what the index says of images that are read in place.

    Raises:
        UserError: the shard is gone, damaged, or holds another number of images than it did.
    """
    kind = entry.get("format", "tar")
    if kind == "tar":
        path = folder / entry["file"]
        for number, data, label in read_shard(path, entry["count"]):
            yield Record(number, label, f"{path}, image {number}", held(data))
    elif kind == "files":
        yield from read_list(folder / entry["file"], Path(source["root"]), entry)
    elif kind == "webdataset":
        made = TypeAdapter(WebDatasetData).validate_python(source["settings"])
        yield from read_file(entry, made, source["labels"])
    elif kind == "parquet":
        yield from read_file(
            entry, TypeAdapter(ParquetData).validate_python(source["settings"]), source["labels"]
        )
    else:
        raise UserError(
            f"{folder / 'index.json'} names files of the kind {kind!r}, which is not known: run "
            "the stage `shards` again"
        )
