"""Images in parquet files, read in place: a row an image, as on the Hugging Face hub."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tessera.config.data import ParquetData
from tessera.data.records import Sample, parse_label, require_size
from tessera.errors import UserError

ROWS = 64
"""Rows in memory at once: some 10 MB of ImageNet."""


def samples(
    path: Path, settings: ParquetData, exclude: frozenset[str], images: bool
) -> Iterator[Sample]:
    """Reads a parquet file from start to end.

    Args:
        path: the file.
        settings: which columns hold image and label.
        exclude: names of rows that need have no label.
        images: read the images; otherwise only labels and paths, where the file's statistics say
            that no row lacks an image.

    Raises:
        UserError: no parquet file, a column is missing, or a row has no image or no label.
    """
    import pyarrow as arrow  # here: only parquet files need it
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path, memory_map=False) as file:
            columns = _columns(path, file.schema_arrow, settings)
            if not images and _are_all_there(file, ".".join(columns["bytes"])):
                del columns["bytes"]  # their bytes are passed over
            images = "bytes" in columns
            size = ROWS if images else 16_384
            row = 0
            wanted = [".".join(steps) for steps in columns.values()]
            for batch in file.iter_batches(size, columns=wanted):
                for entry in _rows(batch, columns):
                    yield _sample(path, row, entry, exclude, images)
                    row += 1
    except FileNotFoundError as error:
        raise UserError(f"{path} is no longer there: run the stage `shards` again") from error
    except (arrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{path} is damaged, truncated or no parquet file ({reason}): restore it, or leave it "
            "out"
        ) from error


def _are_all_there(file: Any, column: str) -> bool:
    """Whether no row lacks its image, by the statistics that a file keeps of its row groups."""
    for number in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(number)
        chunks = (group.column(i) for i in range(group.num_columns))
        kept = next((one.statistics for one in chunks if one.path_in_schema == column), None)
        if kept is None or not kept.has_null_count or kept.null_count:
            return False
        if kept.has_min_max and not kept.min:  # an empty one; large images have no such entry
            return False
    return True


def _columns(path: Path, schema: Any, settings: ParquetData) -> dict[str, tuple[str, ...]]:
    """Role ("label", "bytes", "path") → column, or column and field."""
    import pyarrow as arrow

    image = settings.image_key
    tried: tuple[str, ...] = ("label", "cls")
    if settings.label_key is not None:
        tried = (settings.label_key,)
    label = next((name for name in tried if name in schema.names), None)
    if label is None or image not in schema.names:
        missing = image if label is not None else " or ".join(tried)
        raise UserError(
            f"{path} has no column {missing} (its columns: {', '.join(schema.names)}): set "
            f"`{'image_key' if label is not None else 'label_key'}` of this data set"
        )
    kind = schema.field(image).type
    found: dict[str, tuple[str, ...]] = {"label": (label,)}
    if arrow.types.is_struct(kind):
        inner = {kind.field(i).name for i in range(kind.num_fields)}
        if "path" in inner:
            found["path"] = (image, "path")
        if "bytes" in inner:
            found["bytes"] = (image, "bytes")
    elif arrow.types.is_binary(kind) or arrow.types.is_large_binary(kind):
        found["bytes"] = (image,)
    if "bytes" not in found:
        raise UserError(
            f"{path} holds no image files in its column {image} (its type is {kind}): set "
            "`image_key` of this data set"
        )
    return found


def _rows(batch: Any, columns: dict[str, tuple[str, ...]]) -> Iterator[dict[str, Any]]:
    """The rows of a batch as role → value."""
    read = {}
    for role, (name, *inner) in columns.items():
        column = batch.column(name)
        read[role] = column.field(inner[0]) if inner else column
    for row in range(batch.num_rows):
        yield {role: column[row].as_py() for role, column in read.items()}


def _sample(
    path: Path, row: int, entry: dict[str, Any], exclude: frozenset[str], images: bool
) -> Sample:
    where = f"{path}, row {row}"
    numbered = f"{os.path.basename(path)}:{row}"
    stored = entry.get("path")
    names = (stored, numbered) if stored else (numbered,)
    if not exclude.isdisjoint(names):
        return Sample(names, None)
    data = entry.get("bytes") or b""
    if images and not data:
        raise UserError(
            f"{where} holds no image, perhaps only the path of one: name files that hold the "
            f"images, or add {numbered!r} to `exclude` of this data set"
        )
    require_size(len(data), where)
    return Sample(names, parse_label(entry["label"], where), data)
