"""Packs a data set into WebDataset tar shards with an index.

Writes the shards, `index.json` (classes, counts, digests, unreadable images) and `card.json`.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter

from tessera.config.data import Data
from tessera.data.shards import pack
from tessera.data.sources import open_source
from tessera.io.files import write_json
from tessera.stages.job import Job, log, parser, run

STAGE = "shards"


def work(job: Job) -> None:
    """Packs both splits."""
    arguments = job.arguments
    settings = TypeAdapter(Data).validate_python(
        job.node["settings"] | {"max_corrupt_share": arguments.max_corrupt_share}
    )
    source = open_source(settings)
    side = settings.image_size
    shards = {"train": arguments.train, "validation": arguments.validation}
    packed = {
        split: pack(
            source.splits[split], shards[split], len(source.classes), side,
            settings.max_corrupt_share,
        )
        for split in shards
    }  # fmt: skip
    for split, entry in packed.items():
        log.info("%s: %d images in %d shards", split, entry.count, len(entry.shards))
        for skipped in entry.skipped:
            log.warning("left out %s: %s", skipped["name"], skipped["reason"])
    splits = {split: entry.json() for split, entry in packed.items()}
    index = arguments.index
    write_json(index, {"classes": source.classes, "splits": splits})
    results = {
        "classes": len(source.classes),
        **{f"{split}_images": entry.count for split, entry in packed.items()},
        "skipped": [skipped for entry in packed.values() for skipped in entry.skipped],
    }
    files = [index, *(path for paths in shards.values() for path in paths)]
    job.finish(arguments.card, files, results)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the stage from the command line."""
    arguments = parser(STAGE, __doc__)
    arguments.add_argument("--train", nargs="+", type=Path, required=True, help="shards to write")
    arguments.add_argument("--validation", nargs="+", type=Path, required=True)
    arguments.add_argument("--max-corrupt-share", type=float, default=0.001)
    arguments.add_argument("--index", type=Path, required=True, help="index to write")
    return run(STAGE, arguments.parse_args(argv), work, computes=False)


if __name__ == "__main__":
    sys.exit(main())
