"""Trains a VQGAN: images to codes and back."""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from tessera.config.data import Views
from tessera.config.tokenizers import TrainedAutoencoder
from tessera.data.images import ShardIndex
from tessera.models.discriminator import DiscriminatorConfig, PatchDiscriminator
from tessera.models.vqgan import VQGAN, VQGANConfig
from tessera.quantize.kmeans import usage_entropy
from tessera.stages.job import Job, add_training, parse_settings, parser, run
from tessera.stages.training import train
from tessera.stages.training_pictures import add_pictures, of_autoencoder
from tessera.train.vqgan import VQGANSettings, VQGANTask

STAGE = "autoencoder"


def work(job: Job) -> None:
    """Trains on the training split, validates on the other."""
    arguments = job.arguments
    settings = job.settings(TrainedAutoencoder)
    job.input("shards", arguments.shards, "shards")
    views = parse_settings(Views, job.node["inputs"]["views"])
    index = ShardIndex(arguments.shards.parent / "index.json")
    images = torch.from_numpy(index.load("train", views).pixels).flatten(0, 1)  # [N*views, 3, H, W]
    held_out = torch.from_numpy(index.load("validation", views).pixels[:, 0])
    training = settings.training
    torch.manual_seed(training.seed)
    model = VQGAN(VQGANConfig(**settings.model.model_dump())).to(arguments.device)
    discriminator = PatchDiscriminator(DiscriminatorConfig(**settings.discriminator.model_dump()))
    task = VQGANTask(
        model,
        discriminator.to(arguments.device),
        images,
        VQGANSettings(**training.model_dump()),
    )

    def validate(network: nn.Module) -> dict[str, float]:
        assert isinstance(network, VQGAN)
        squared, counts = 0.0, torch.zeros(settings.model.codes, dtype=torch.long)
        for batch in held_out.split(256):
            pixels = batch.to(arguments.device).float() / 255
            codes = network.quantize(network.encode(pixels))
            made = network.decode_codes(codes).clamp(0, 1)
            squared += float(F.mse_loss(made, pixels)) * len(batch)
            counts += torch.bincount(codes.flatten().cpu(), minlength=len(counts))
        mse = squared / len(held_out)
        return {
            "psnr_db": -10 * float(torch.log10(torch.tensor(mse))),
            "code_entropy_bits": usage_entropy(counts.numpy()),
            "used_codes": float((counts > 0).sum()),
        }

    train(
        job, task, training.steps, training.batch, training.seed, lambda: task.model,
        model.config, validate, show=of_autoencoder(job, held_out),
    )  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the stage from the command line."""
    arguments = parser(STAGE, __doc__)
    add_training(arguments)
    add_pictures(arguments, tokenizer=False)
    arguments.add_argument("--shards", type=Path, required=True, help="card of the shards")
    return run(STAGE, arguments.parse_args(argv), work)


if __name__ == "__main__":
    sys.exit(main())
