"""Joins the parts of a sample set: one file in ADM's layout and a picture.

The picture has a row a class for conditional sets: of all classes, or of some evenly spread ones.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tessera.data.images import spread
from tessera.errors import UserError
from tessera.io.images import write_adm, write_png
from tessera.io.parts import open_parts
from tessera.report.pictures.grids import class_rows, grid
from tessera.stages.job import Job, parser, part_file, run

STAGE = "samples"
ROWS, COLUMNS = 10, 10


def work(job: Job) -> None:
    """Writes `samples.npz`, `grid.png` and the card."""
    arguments = job.arguments
    cards = job.inputs("parts", arguments.parts, "sampling")
    arrays, attributes = open_parts([part_file(card) for card in arguments.parts])
    images, classes = arrays["images"], attributes["classes"]
    wanted = job.node["inputs"]["samplings"]["settings"]["count"]
    if len(images) != wanted:
        raise UserError(
            f"the parts of {arguments.card.parent.name} hold {len(images)} images, the config says "
            f"{wanted}: delete them and run again"
        )
    labels = arrays["label"].compute() if "label" in arrays else None
    folder = arguments.card.parent
    samples, picture = folder / "samples.npz", folder / "grid.png"
    write_adm(samples, (block.compute() for block in images.blocks.ravel()), images.shape, labels)
    if labels is None:
        pixels = grid(images[: ROWS * COLUMNS].compute(), COLUMNS)
    else:
        drawn = np.unique(labels)  # of many classes a small set has not all
        shown = drawn[spread(len(drawn), ROWS)].tolist()
        places = np.concatenate([np.flatnonzero(labels == label)[:COLUMNS] for label in shown])
        places.sort()  # as they lie on the disk
        names = [row_name(label, classes[label]) for label in shown]
        pixels = class_rows(images[places].compute(), labels[places], shown, COLUMNS, names)
    write_png(picture, pixels)
    job.finish(
        arguments.card,
        [samples, picture],
        {
            "count": len(images),
            "conditional": labels is not None,
            "classes": classes,
            "image_size": images.shape[1],
        },
        run={"sampling_seconds": round(sum(card["run"]["seconds"] for card in cards), 3)},
    )


def row_name(label: int, name: str) -> str:
    """What stands beside a row: the class, and its name where that is more than its number."""
    return name if name == str(label) else f"{label} {name}"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the stage from the command line."""
    arguments = parser(STAGE, __doc__)
    arguments.add_argument("--parts", type=Path, nargs="+", required=True, help="part cards")
    return run(STAGE, arguments.parse_args(argv), work, computes=False)


if __name__ == "__main__":
    sys.exit(main())
