"""A seeded sample of a frozen encoder's patch features, one part of the shards at a time.

All tokens of ImageNet would fill half a terabyte, while K-Means reads 256 a centroid. So each view
of each image keeps a few of its tokens, drawn from (seed, image, view).
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from tessera.config.data import Views
from tessera.config.tokenizers import Features
from tessera.data.images import ShardIndex
from tessera.data.views import view_count
from tessera.io.parts import write_part
from tessera.stages.job import Job, log, parse_settings, parser, part_file, run
from tessera.stages.streaming import Replayed, fetched, upload
from tessera.stages.tokenizing import find_card, open_featurizer

STAGE = "features"


def sample_tokens(settings: Features, number: int, view: int, share: float, tokens: int) -> Any:
    """Which tokens of one view are in the sample.

    Args:
        settings: the seed.
        number: the image's number.
        view: the view.
        share: tokens wanted of each view on average; the fraction is drawn.
        tokens: tokens that the view has.

    Returns:
        Sorted indices, int64 [n], n <= tokens; a function of (seed, image, view).
    """
    # The views' crops use the keys below: the same ones would tie the sample to the crops.
    key = [settings.seed, (1 << 62) + number * 64 + view]
    draw = np.random.Generator(np.random.Philox(key=key))
    wanted = int(share) + int(draw.random() < share % 1)
    return np.sort(draw.permutation(tokens)[:wanted])


def work(job: Job) -> None:
    """Extracts one part."""
    arguments = job.arguments
    settings = job.settings(Features)
    views = parse_settings(Views, job.node["inputs"]["views"])
    job.input("shards", arguments.shards, "shards")
    index = ShardIndex(arguments.shards.parent / "index.json")
    encoder = find_card(job, [arguments.encoder], job.node["inputs"]["encoder"], "encoder")
    featurizer = open_featurizer(job.node, encoder.parent, arguments.device)
    grid, copies = featurizer.grid(views.crop), view_count(views, "train")
    length = grid[0] * grid[1]
    share = min(float(length), settings.points / (index.count("train") * copies))
    batch, device = arguments.batch, arguments.device
    features = Replayed(featurizer, (batch, 3, views.crop, views.crop))
    places, seen = [np.zeros(0, np.int64)], 0

    def sampled() -> Iterator[Tensor]:
        nonlocal seen
        part, parts, threads = arguments.part, arguments.parts, arguments.threads
        for images in index.stream("train", views, batch, part, parts, threads):
            for view in range(copies):
                chosen = [
                    sample_tokens(settings, int(number), view, share, length)
                    for number in images.numbers
                ]
                rows = [row for row, tokens in enumerate(chosen) if len(tokens)]
                if rows:  # images of which nothing is kept need no encoder
                    first = (images.numbers[rows] * copies + view) * length
                    places.extend(first[i] + chosen[row] for i, row in enumerate(rows))
                    wanted = [i * length + chosen[row] for i, row in enumerate(rows)]
                    made = features(upload(_rows(images.pixels[:, view], rows), device))
                    yield made.flatten(0, 1)[upload(np.concatenate(wanted), device)]
            seen += len(images.numbers)
            log.info("%d images", seen)

    # Each in its type on disk at once: a part of all points in float32 would need twice as much.
    dtype, width = np.dtype(settings.dtype), featurizer.width
    kept = [np.zeros((0, width), dtype), *(some.astype(dtype) for some in fetched(sampled()))]
    points = np.concatenate(kept)
    part = part_file(arguments.card)
    # Where each point comes from: batches and parts cut the set into other orders.
    arrays = {"features": points, "place": np.concatenate(places)}
    write_part(part, arrays, {"width": width})
    results = {"points": len(points), "width": width, "images": seen, "grid": list(grid)}
    job.finish(arguments.card, [part], results)


def _rows(pixels: np.ndarray, rows: Sequence[int]) -> np.ndarray:
    """Some of the rows; all of them are not copied."""
    return pixels if len(rows) == len(pixels) else pixels[rows]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the stage from the command line."""
    arguments = parser(STAGE, __doc__, parts=True)
    arguments.add_argument("--shards", type=Path, required=True, help="card of the shards")
    arguments.add_argument("--encoder", type=Path, required=True, help="card of the encoder")
    return run(STAGE, arguments.parse_args(argv), work)


if __name__ == "__main__":
    sys.exit(main())
