"""The tokens of every image and view, by a codebook or an autoencoder, one part at a time.

Features are made and assigned in one pass; only tokens reach the disk.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tessera.config.data import Views
from tessera.data.images import ShardIndex
from tessera.data.views import view_count
from tessera.errors import UserError
from tessera.io.parts import write_part
from tessera.stages.job import Job, log, parse_settings, parser, part_file, run
from tessera.stages.streaming import Replayed, fetched, upload
from tessera.stages.tokenizing import Tokenizer, find_card, open_codebook, vqgan_tokenizer

STAGE = "tokens"


def work(job: Job) -> None:
    """Tokenizes one part."""
    arguments = job.arguments
    views = parse_settings(Views, job.node["inputs"]["views"])
    job.input("shards", arguments.shards, "shards")
    index = ShardIndex(arguments.shards.parent / "index.json")
    tokenize, vocabulary, grid, kind = _open(job, views)
    split, length = arguments.split, grid[0] * grid[1]
    labels, numbers = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    crop, batch = views.side(split), arguments.batch
    tokens = Replayed(lambda images: tokenize(images)[0], (batch, 3, crop, crop))

    def crops() -> Iterator[np.ndarray]:
        part, parts, threads = arguments.part, arguments.parts, arguments.threads
        for images in index.stream(split, views, batch, part, parts, threads):
            # Views are images too: ten crops of each would need ten times the memory at once.
            each_view = images.pixels.reshape(-1, 3, crop, crop)
            yield from (each_view[i : i + batch] for i in range(0, len(each_view), batch))
            labels.append(images.labels)
            numbers.append(images.numbers)
            log.info("%d images", sum(map(len, numbers)))

    found = fetched(tokens(upload(some, arguments.device)) for some in crops())
    codes = [np.zeros((0, length), np.uint16), *(some.astype(np.uint16) for some in found)]
    made = np.concatenate(codes).reshape(-1, view_count(views, split), length)
    part = part_file(arguments.card)
    write_part(
        part,
        {"codes": made, "label": np.concatenate(labels), "number": np.concatenate(numbers)},
        {"vocabulary": vocabulary, "grid": grid, "classes": index.classes},
    )
    results = {
        "images": len(made),
        "views": made.shape[1],
        "length": length,
        "vocabulary": vocabulary,
        "grid": list(grid),
        "kind": kind,
        "split": split,
        "histogram": np.bincount(made.ravel(), minlength=vocabulary).tolist(),
    }
    job.finish(arguments.card, [part], results)


def _open(job: Job, views: Views) -> tuple[Tokenizer, int, tuple[int, int], str]:
    """The tokenizer that the settings name, with its vocabulary, grid and kind."""
    inputs, arguments = job.node["inputs"], job.arguments
    crop = views.side(arguments.split)
    if "codebook" in inputs:
        tokenize, vocabulary, featurizer = open_codebook(
            job, inputs["codebook"], arguments.tokenizer, "tokenizer"
        )
        return tokenize, vocabulary, featurizer.grid(crop), "codebook"
    card = find_card(job, arguments.tokenizer, inputs["autoencoder"], "tokenizer")
    tokenize, vocabulary, grid, side = vqgan_tokenizer(card.parent, arguments.device)
    if side != crop:
        raise UserError(
            f"the autoencoder {card.parent.name} reads images of {side} pixels, the views are "
            f"crops of {crop}: name views of {side} pixels"
        )
    return tokenize, vocabulary, grid, "autoencoder"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the stage from the command line."""
    arguments = parser(STAGE, __doc__, parts=True)
    arguments.add_argument("--shards", type=Path, required=True, help="card of the shards")
    arguments.add_argument(
        "--tokenizer",
        type=Path,
        nargs="+",
        required=True,
        help="cards of codebook and encoder, or of the autoencoder",
    )
    arguments.add_argument("--split", choices=("train", "validation"), required=True)
    return run(STAGE, arguments.parse_args(argv), work)


if __name__ == "__main__":
    sys.exit(main())
