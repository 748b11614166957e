"""A seeded sample of a frozen encoder's patch features, one part of the shards at a time.

All tokens of ImageNet would fill half a terabyte, while K-Means reads 256 a centroid. So each view
of each image keeps a few of its tokens, drawn from (seed, image, view).
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tessera.config.data import Views
from tessera.config.tokenizers import Features
from tessera.data.images import ShardIndex
from tessera.data.views import view_count
from tessera.io.parts import write_part
from tessera.stages.job import Job, log, parse_settings, parser, part_file, run
from tessera.stages.tokenizing import Featurizer, find_card

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
    featurizer = Featurizer(job.node, encoder.parent, arguments.device)
    images, copies = index.count("train"), view_count(views, "train")
    grid = featurizer.grid(views.crop)
    length = grid[0] * grid[1]
    share = min(float(length), settings.points / (images * copies))
    kept = [np.zeros((0, featurizer.width), np.float32)]
    places = [np.zeros(0, np.int64)]
    seen = 0
    for batch in index.stream(
        "train", views, arguments.batch, arguments.part, arguments.parts, arguments.threads
    ):
        seen += len(batch.numbers)
        for view in range(copies):
            chosen = [
                sample_tokens(settings, int(number), view, share, length)
                for number in batch.numbers
            ]
            rows = [row for row, tokens in enumerate(chosen) if len(tokens)]
            if rows:  # images of which nothing is kept need no encoder
                pixels = torch.from_numpy(batch.pixels[rows, view]).float() / 255
                features = featurizer(pixels).cpu().numpy()  # [rows, T, width]
                kept += [features[i, chosen[row]] for i, row in enumerate(rows)]
                first = (batch.numbers[rows] * copies + view) * length
                places += [first[i] + chosen[row] for i, row in enumerate(rows)]
        log.info("%d images", seen)
    width = featurizer.width
    points = np.concatenate(kept)
    part = part_file(arguments.card)
    # Where each point comes from: batches and parts cut the set into other orders.
    arrays = {"features": points.astype(settings.dtype), "place": np.concatenate(places)}
    write_part(part, arrays, {"width": width})
    results = {"points": len(points), "width": width, "images": seen, "grid": list(grid)}
    job.finish(arguments.card, [part], results)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the stage from the command line."""
    arguments = parser(STAGE, __doc__, parts=True)
    arguments.add_argument("--shards", type=Path, required=True, help="card of the shards")
    arguments.add_argument("--encoder", type=Path, required=True, help="card of the encoder")
    return run(STAGE, arguments.parse_args(argv), work)


if __name__ == "__main__":
    sys.exit(main())
