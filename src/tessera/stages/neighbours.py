"""Finds the training images nearest to samples, to show that nothing is copied.

The same is done for validation images, which no model has seen: samples are suspicious that lie
nearer to training images than unseen real images do. Features pass in batches and are not kept.
"""

import sys
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tessera.config.neighbours import Neighbours
from tessera.data.images import spread
from tessera.errors import UserError
from tessera.io.images import adm_shape, pick_adm, write_png
from tessera.metrics.extractors import Extractor, see
from tessera.metrics.neighbours import NEAR, Copies, Nearest, percentiles
from tessera.report.pictures.comparisons import Row, neighbour_rows, short
from tessera.stages.extracting import CentreCrops, Progress, open_extractor
from tessera.stages.job import Job, log, parser, run

STAGE = "neighbours"


class Searched:
    """Images that are searched for: their features, and what is found as training images pass.

    Args:
        extractor: where the features come from.
        images: pieces of the set, uint8 [n, 3, H, W].
        settings: how many neighbours, and the distance.
        device: where the extractor and the search run.
    """

    def __init__(
        self, extractor: Extractor, images: Iterable[Tensor], settings: Neighbours, device: str
    ) -> None:
        self._copies, features = Copies(), []
        for piece in images:
            self._copies.expect(piece)
            features.append(see(extractor, piece, device).features)
        self._nearest = Nearest(torch.cat(features), settings.neighbours, settings.metric)

    def add(self, features: Tensor, numbers: Tensor, images: Tensor) -> None:
        """Takes the next training images: features [B, D], their numbers, and pixels."""
        self._nearest.add(features, numbers)
        self._copies.add(images)

    def found(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Distances [N, k], numbers [N, k], and the places of pixel-equal copies."""
        return *self._nearest.found(), self._copies.found()


def work(job: Job) -> None:
    """Searches for one sample set."""
    arguments = job.arguments
    settings = job.settings(Neighbours)
    job.input("samples", arguments.samples, "samples")
    file = arguments.samples.parent / "samples.npz"
    held, *size, _ = adm_shape(file)
    training = CentreCrops(job, arguments.shards, "train")
    unseen = CentreCrops(job, arguments.shards, "validation")
    training.require_size(*size)
    if settings.neighbours > training.count:
        raise UserError(
            f"{settings.neighbours} neighbours are asked for and there are {training.count} "
            "training images: lower `neighbours`"
        )
    extractor, kind = open_extractor(job, arguments.extractor)
    count, batch, device = min(settings.samples, held), arguments.batch, arguments.device
    pieces = pick_adm(file, range(count), batch)
    drawn = (torch.from_numpy(piece).permute(0, 3, 1, 2) for piece in pieces)
    real = unseen.some(spread(unseen.count, count))
    searched = [Searched(extractor, images, settings, device) for images in (drawn, real)]
    stream(extractor, training, searched, device)
    distances, numbers, copies = searched[0].found()
    of_unseen, _, repeated = searched[1].found()
    places = {
        "first": range(min(settings.rows, count)),
        "nearest": np.argsort(distances[:, 0], kind="stable")[: settings.rows],
    }
    shown = {
        name: [
            {"sample": int(i), "numbers": numbers[i].tolist(), "distances": distances[i].tolist()}
            for i in chosen
        ]
        for name, chosen in places.items()
    }
    near = float(np.percentile(of_unseen[:, 0], NEAR))
    results = {
        "extractor": {"name": extractor.name, "kind": kind, "digest": extractor.digest},
        "reference": {
            "kind": "images",
            "split": "train",
            "count": training.count,
            "digest": job.digest("shards"),
        },
        "metric": settings.metric,
        "count": count,
        "samples": percentiles(distances[:, 0]) | {"copies": len(copies)},
        "validation": percentiles(of_unseen[:, 0])
        | {"count": len(of_unseen), "copies": len(repeated)},
        "near": {"distance": near, "share": float((distances[:, 0] < near).mean())},
        "copies": copies.tolist(),
        "shown": shown,
    }
    picture = arguments.card.with_suffix(".png")
    lines = told(results)
    write_png(picture, draw(file, training, batch, shown, lines))
    job.finish(arguments.card, [picture], results)
    for line in lines:
        log.info("%s", line)


def told(results: dict[str, Any]) -> list[str]:
    """What the numbers say, for the picture and the log."""
    ours, real, near = (results[key] for key in ("samples", "validation", "near"))
    return [
        f"Median distance to the nearest training image: {short(ours['p50'])} of "
        f"{results['count']:,} samples, {short(real['p50'])} of {real['count']:,} unseen images.",
        f"{100 * near['share']:.1f} % of the samples are nearer than {short(near['distance'])}, as "
        f"are {NEAR} % of the unseen images. Pixel-equal to a training image: {ours['copies']:,} "
        f"samples, {real['copies']:,} unseen images.",
    ]


def stream(
    extractor: Extractor, training: CentreCrops, searched: Sequence[Searched], device: str
) -> None:
    """Shows all training images to those that search among them."""
    progress, done = Progress("training images", training.count), 0
    for images in training:
        features = see(extractor, images, device).features
        numbers = torch.from_numpy(training.numbers)
        for one in searched:
            one.add(features, numbers, images)
        done += len(images)
        progress(done)


def draw(
    file: Path, training: CentreCrops, batch: int, shown: dict[str, list[Any]], lines: list[str]
) -> np.ndarray:
    """The picture: a row a sample, its neighbours beside it, each with its distance."""
    entries = [entry for rows in shown.values() for entry in rows]
    places = sorted({entry["sample"] for entry in entries})
    samples = dict(zip(places, chain(*pick_adm(file, places, batch)), strict=True))
    numbers = sorted({number for entry in entries for number in entry["numbers"]})
    read = (piece.permute(0, 2, 3, 1).numpy() for piece in training.some(numbers))
    images = dict(zip(numbers, chain(*read), strict=True))
    titles = {
        "first": "the first samples, each with its nearest training images",
        "nearest": "the same for the samples that come nearest to a training image",
    }
    return neighbour_rows(
        {
            titles[block]: [
                Row(
                    samples[row["sample"]],
                    f"no. {row['sample']}",
                    [images[number] for number in row["numbers"]],
                    row["distances"],
                )
                for row in rows
            ]
            for block, rows in shown.items()
        },
        lines,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the stage from the command line."""
    arguments = parser(STAGE, __doc__)
    arguments.add_argument("--batch", type=int, default=256, help="images at once")
    arguments.add_argument("--samples", type=Path, required=True, help="card of the sample set")
    arguments.add_argument("--shards", type=Path, required=True, help="card of the shards")
    arguments.add_argument("--extractor", type=Path, required=True, help="card, or weights")
    return run(STAGE, arguments.parse_args(argv), work)


if __name__ == "__main__":
    sys.exit(main())
