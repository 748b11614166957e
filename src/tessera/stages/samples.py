"""Joins the parts of a sample set: one file in ADM's layout and a picture.

The picture has a row a class for conditional sets.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from tessera.errors import UserError
from tessera.io.images import write_adm, write_png
from tessera.io.parts import open_parts
from tessera.report.grids import class_rows, grid
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
        shown = min(len(classes), ROWS)
        first = images[: min(len(images), COLUMNS * len(classes))].compute()
        pixels = class_rows(first, labels[: len(first)], range(shown), COLUMNS)
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


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the stage from the command line."""
    arguments = parser(STAGE, __doc__)
    arguments.add_argument("--parts", type=Path, nargs="+", required=True, help="part cards")
    return run(STAGE, arguments.parse_args(argv), work, computes=False)


if __name__ == "__main__":
    sys.exit(main())
