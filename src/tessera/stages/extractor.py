"""Trains the small classifier whose features are compared where Inception's do not apply."""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from tessera.config.results import ClassifierExtractor
from tessera.data.images import ShardIndex
from tessera.data.views import centre_views
from tessera.models.classifier import Classifier, ClassifierConfig
from tessera.stages.job import Job, add_training, parser, run
from tessera.stages.training import train
from tessera.train.classifier import ClassifierRecipe, accuracy, classifier_task

STAGE = "extractor"


def work(job: Job) -> None:
    """Trains on the training split, validates on the other."""
    arguments = job.arguments
    settings = job.settings(ClassifierExtractor)
    job.input("shards", arguments.shards, "shards")
    index = ShardIndex(arguments.shards.parent / "index.json")
    views = centre_views(settings.image_size, settings.image_size)
    splits = {}
    for split in ("train", "validation"):
        images = index.load(split, views)
        splits[split] = (torch.from_numpy(images.pixels[:, 0]), torch.from_numpy(images.labels))
    config = ClassifierConfig(
        classes=len(index.classes), width=settings.width, image_size=settings.image_size
    )
    recipe = ClassifierRecipe(
        steps=settings.steps,
        batch=settings.batch,
        learning_rate=settings.learning_rate,
        warmup=min(20, settings.steps // 5),
        max_shift=settings.max_shift,
        seed=settings.seed,
    )
    torch.manual_seed(settings.seed)
    model = Classifier(config).to(arguments.device)
    task = classifier_task(model, recipe, *splits["train"])

    def validate(network: nn.Module) -> dict[str, float]:
        assert isinstance(network, Classifier)
        return {"accuracy": accuracy(network, *splits["validation"])}

    train(job, task, settings.steps, settings.batch, settings.seed, task.trained, config, validate)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the stage from the command line."""
    arguments = parser(STAGE, __doc__)
    add_training(arguments)
    arguments.add_argument("--shards", type=Path, required=True, help="card of the shards")
    return run(STAGE, arguments.parse_args(argv), work)


if __name__ == "__main__":
    sys.exit(main())
