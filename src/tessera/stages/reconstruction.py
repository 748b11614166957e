"""Compares images with their reconstructions by an autoencoder: Fréchet distance, PSNR, a picture.

Each image's centre crop becomes codes and, from the codes alone, pixels again, cut to bytes as
sample sets are. The distance is the best that samples painted by this autoencoder can hope for.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tessera.config.results import Reconstruction
from tessera.data.images import spread
from tessera.errors import UserError
from tessera.io.images import write_png
from tessera.metrics.extractors import Collector
from tessera.metrics.fidelity import check_request, frechet_distance
from tessera.metrics.names import reconstruction_name
from tessera.metrics.psnr import psnr
from tessera.models.vqgan import VQGAN
from tessera.report.pictures.comparisons import original_rows
from tessera.stages.extracting import CentreCrops, Progress, open_extractor
from tessera.stages.job import Job, log, parser, run
from tessera.stages.loading import load_vqgan
from tessera.stages.tokenizing import find_card

STAGE = "reconstruction"
PAIRS, COLUMNS = 24, 8
"""Images of the picture, evenly spread over the split, and how many stand side by side."""


def work(job: Job) -> None:
    """Measures one autoencoder."""
    arguments = job.arguments
    settings = job.settings(Reconstruction)
    crops = CentreCrops(job, arguments.shards, settings.split)
    check_request(["fid"], crops.count, crops.count)
    node = job.node["inputs"]["autoencoder"]
    card = find_card(job, [arguments.autoencoder], node, "autoencoder")
    model = load_vqgan(card.parent, arguments.device)
    if model.config.resolution != crops.side:
        raise UserError(
            f"the autoencoder {card.parent.name} reads images of {model.config.resolution} pixels, "
            f"the views are crops of {crops.side}: name views of {model.config.resolution} pixels"
        )
    extractor, kind = open_extractor(job, arguments.extractor)
    before = Collector(extractor, arguments.device)
    after = Collector(extractor, arguments.device)
    ratios = []
    wanted, shown = spread(crops.count, PAIRS), {}
    progress = Progress("images", crops.count)
    for images in crops:
        painted = reconstruct(model, images.to(arguments.device)).cpu()
        before.add(images)
        after.add(painted)
        ratios.append(psnr(painted, images))
        for place in np.flatnonzero(np.isin(crops.numbers, wanted)):
            shown[crops.numbers[place]] = torch.stack([images[place], painted[place]])
        progress(len(before))
    distance = frechet_distance(after.features(), before.features(), extractor)
    metrics = {"fid": distance, "psnr_db": torch.cat(ratios).mean().item()}
    names = {"fid": reconstruction_name(extractor.name), "psnr_db": "PSNR"}
    results = {
        "extractor": {"name": extractor.name, "kind": kind, "digest": extractor.digest},
        "reference": {
            "kind": "images",
            "split": settings.split,
            "count": len(before),
            "digest": job.digest("shards"),
        },
        "count": len(after),
        "metrics": metrics,
        "names": names,
    }
    picture = arguments.card.parent / "grid.png"
    pairs = torch.stack([shown[number] for number in wanted]).permute(1, 0, 3, 4, 2).numpy()
    write_png(picture, original_rows(pairs[0], pairs[1], COLUMNS))
    job.finish(arguments.card, [picture], results)
    for key, name in names.items():
        log.info("%s: %.4g%s", name, metrics[key], " dB" if key == "psnr_db" else "")


@torch.inference_mode()
def reconstruct(model: VQGAN, images: Tensor) -> Tensor:
    """Images → codes → images, all uint8 [B, 3, H, W] on the model's device."""
    return model.paint(model.quantize(model.encode(images.float() / 255)))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the stage from the command line."""
    arguments = parser(STAGE, __doc__)
    arguments.add_argument("--batch", type=int, default=256, help="images at once")
    arguments.add_argument("--shards", type=Path, required=True, help="card of the shards")
    arguments.add_argument("--autoencoder", type=Path, required=True, help="its card")
    arguments.add_argument("--extractor", type=Path, required=True, help="card, or weights")
    return run(STAGE, arguments.parse_args(argv), work)


if __name__ == "__main__":
    sys.exit(main())
