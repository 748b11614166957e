"""Trains a small ViT on the images alone: DINO with iBOT's masked patches. No label is read."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tessera.config.tokenizers import TrainedEncoder
from tessera.data.images import ShardIndex
from tessera.data.views import centre_views
from tessera.models.vit import VisionTransformer, ViTConfig
from tessera.stages.job import Job, add_training, parser, run
from tessera.stages.training import train
from tessera.train.augment import ViewConfig
from tessera.train.dino import DINOSettings, DINOTask

STAGE = "encoder"


def work(job: Job) -> None:
    """Trains on the training split; the teacher is what is saved."""
    arguments = job.arguments
    settings = job.settings(TrainedEncoder)
    job.input("shards", arguments.shards, "shards")
    side = settings.model.image_size
    index = ShardIndex(arguments.shards.parent / "index.json")
    images = torch.from_numpy(index.load("train", centre_views(side, side)).pixels[:, 0])
    channels = images.float().div(255).transpose(0, 1).flatten(1)  # [3, N * H * W]
    config = ViTConfig(
        **settings.model.model_dump(),
        mean=_three(channels.mean(1)),
        std=_three(channels.std(1)),
    )
    training = settings.training
    views: dict[str, Any] = {
        name: ViewConfig(**getattr(training, name).model_dump())
        for name in ("global_views", "local_views")
        if getattr(training, name) is not None
    }
    recipe = DINOSettings(**training.model_dump(exclude={"global_views", "local_views"}), **views)
    torch.manual_seed(training.seed)
    task = DINOTask(VisionTransformer(config).to(arguments.device), images, recipe)

    def nothing(network: nn.Module) -> dict[str, float]:
        return {}  # no number without labels tells how good the features are; the probe does

    train(
        job, task, training.steps, training.batch, training.seed, lambda: task.encoder, config,
        nothing,
    )  # fmt: skip


def _three(values: torch.Tensor) -> tuple[float, float, float]:
    red, green, blue = (round(float(value), 6) for value in values)
    return red, green, blue


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the stage from the command line."""
    arguments = parser(STAGE, __doc__)
    add_training(arguments)
    arguments.add_argument("--shards", type=Path, required=True, help="card of the shards")
    return run(STAGE, arguments.parse_args(argv), work)


if __name__ == "__main__":
    sys.exit(main())
