"""Finds the images of a data set, and packs them into tar shards or lists them where they lie.

Writes `index.json` (classes, counts, shards, unreadable images) and `card.json`; beside them tar
shards, or lists of files where a folder is read in place.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from tessera.config.data import Data, DigitsData, FolderData, ParquetData, WebDatasetData
from tessera.config.paths import SPLITS, shard_names
from tessera.data.expect import require_known
from tessera.data.listing import write_lists
from tessera.data.scan import scan
from tessera.data.shards import pack
from tessera.data.sources import Source, open_source
from tessera.errors import UserError
from tessera.io.files import write_json
from tessera.stages.job import Job, log, parser, run

STAGE = "shards"

Settings = DigitsData | FolderData | WebDatasetData | ParquetData


def work(job: Job) -> None:
    """Packs or lists both splits."""
    arguments = job.arguments
    settings: Settings = TypeAdapter(Data).validate_python(job.node["settings"])
    shards: dict[str, list[Path]] = {split: [] for split in SPLITS}
    if isinstance(settings, WebDatasetData | ParquetData):
        index, excluded = _scanned(settings, arguments.threads)
    else:
        shards = _to_write(settings, arguments.card.parent, arguments.shards)
        source = open_source(settings)
        excluded = source.excluded
        _check(settings, source.classes, {s: len(source.splits[s]) for s in shards}, excluded)
        if isinstance(settings, FolderData) and settings.in_place:
            index = _listed(settings, source, shards)
        else:
            index = _packed(settings, source, shards, arguments.max_corrupt_share)
    splits = index["splits"]
    for split, entry in splits.items():
        log.info("%s: %d images in %d shards", split, entry["count"], len(entry["shards"]))
        for skipped in entry["skipped"]:
            log.warning("left out %s: %s", skipped["name"], skipped["reason"])
    write_json(arguments.index, index)
    results = {
        "classes": len(index["classes"]),
        **{f"{split}_images": entry["count"] for split, entry in splits.items()},
        "skipped": [skipped for entry in splits.values() for skipped in entry["skipped"]],
        "excluded": sum(excluded.values()),
    }
    files = [arguments.index, *(path for paths in shards.values() for path in paths)]
    job.finish(arguments.card, files, results)


def _to_write(
    settings: DigitsData | FolderData, folder: Path, counts: Sequence[int]
) -> dict[str, list[Path]]:
    if min(counts) < 1:
        raise UserError("--shards must be at least one file of each split")
    return {
        split: [folder / name for name in shard_names(settings, split, count)]
        for split, count in zip(SPLITS, counts, strict=True)
    }


def _packed(
    settings: DigitsData | FolderData,
    source: Source,
    shards: dict[str, list[Path]],
    max_corrupt_share: float,
) -> dict[str, Any]:
    classes, side = source.classes, settings.image_size
    splits = {
        split: pack(source.splits[split], paths, len(classes), side, max_corrupt_share).json()
        for split, paths in shards.items()
    }
    return {"classes": classes, "splits": splits}


def _listed(settings: FolderData, source: Source, shards: dict[str, list[Path]]) -> dict[str, Any]:
    root = Path(settings.path)
    splits = {}
    for split, paths in shards.items():
        items = source.splits[split]
        per_class = [0] * len(source.classes)
        for item in items:
            per_class[item.label] += 1
        splits[split] = {
            "count": len(items),
            "per_class": per_class,
            "shards": write_lists(items, root, paths),
            "skipped": [],
        }
    return {"classes": source.classes, "splits": splits, "source": {"root": str(root)}}


def _scanned(
    settings: WebDatasetData | ParquetData, workers: int
) -> tuple[dict[str, Any], dict[str, int]]:
    found = scan(settings, workers)
    counts = {split: entry["count"] for split, entry in found.splits.items()}
    _check(settings, found.classes, counts, found.excluded)
    how = settings.model_dump(mode="json")
    index = {
        "classes": found.classes,
        "splits": found.splits,
        "source": {"settings": how, "labels": found.labels},
    }
    return index, found.excluded


def _check(
    settings: Settings, classes: list[str], counts: dict[str, int], excluded: dict[str, int]
) -> None:
    if isinstance(settings, DigitsData) or settings.expect is None:
        return
    images = {split: count + excluded.get(split, 0) for split, count in counts.items()}
    require_known(settings.expect, classes, images, isinstance(settings, FolderData))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the stage from the command line."""
    arguments = parser(STAGE, __doc__)
    # Counts, not names: hundreds of names would bury the error that Snakemake prints beside them.
    arguments.add_argument(
        "--shards",
        nargs=2,
        type=int,
        default=(1, 1),
        metavar=("TRAIN", "VALIDATION"),
        help="tar shards or lists of files to write beside the card, a split; nothing is written "
        "where files hold many images already (default 1 1)",
    )
    arguments.add_argument("--max-corrupt-share", type=float, default=0.001)
    arguments.add_argument("--index", type=Path, required=True, help="index to write")
    return run(STAGE, arguments.parse_args(argv), work, computes=False)


if __name__ == "__main__":
    sys.exit(main())
