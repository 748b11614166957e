"""Trains a GPT over semantic tokens, or over VQGAN codes (the VQ-only baseline)."""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from tessera.config.training import TrainedStage1
from tessera.data.tokens import TokenSet, draw_batch, load_tokens
from tessera.models.gpt import GPT, GPTConfig
from tessera.stages.job import Job, add_processes, add_training, log, parser, part_file, run
from tessera.stages.training import (
    GLANCE,
    add_updates,
    compiles_layers,
    decoder_sizes,
    gradient_task,
    micro_batch_size,
    train,
    validation_loss,
)
from tessera.stages.training_pictures import add_pictures, of_stage1
from tessera.train.distributed import Processes, joined

STAGE = "stage1"


def model_config(settings: TrainedStage1, vocabulary: int, length: int, classes: int) -> GPTConfig:
    """The sizes of the model.

    Args:
        settings: the variant's.
        vocabulary: codes of its tokenizer.
        length: codes of an image.
        classes: classes of the data set, which only a conditional model is given.
    """
    return GPTConfig(
        vocabulary=vocabulary,
        length=length,
        classes=classes if settings.class_conditional else 0,
        norm=settings.norm,
        **decoder_sizes(settings.model, length + 1),
    )


def work(job: Job) -> None:
    """Trains the model, in this process or as one of several."""
    with joined(job.arguments.device) as processes:
        train_model(job, processes)


def train_model(job: Job, processes: Processes) -> None:
    """Trains the model; the first process writes it."""
    arguments = job.arguments
    settings = job.settings(TrainedStage1)
    job.inputs("tokens", arguments.tokens, "tokens")
    job.inputs("validation", arguments.validation, "tokens")
    device = arguments.device
    tokens = load_tokens([part_file(card) for card in arguments.tokens]).to(device)
    validation = load_tokens([part_file(card) for card in arguments.validation]).to(device)
    training = settings.training
    size = micro_batch_size(training.batch, arguments.micro_batch, processes)
    config = model_config(settings, tokens.vocabulary, tokens.length, len(tokens.classes))
    torch.manual_seed(training.seed)
    model = GPT(config).to(device)
    log.info(
        "%d images x %d views x %d tokens of %d, %.2f M parameters",
        len(tokens), tokens.codes.shape[1], tokens.length, tokens.vocabulary,
        sum(p.numel() for p in model.parameters()) / 1e6,
    )  # fmt: skip

    def labels_of(chosen: Tensor, where: TokenSet) -> Tensor | None:
        return where.labels[chosen] if settings.class_conditional else None

    def loss(network: nn.Module, step: int, micro: int) -> dict[str, Tensor]:
        images, views = draw_batch(
            len(tokens),
            tokens.codes.shape[1],
            training.batch,
            training.seed,
            step,
            size,
            micro,
            device,
        )
        codes = tokens.codes[images, views].long()
        return {"loss": network(codes, labels_of(images, tokens), None, settings.label_smoothing)}

    def held_out(network: nn.Module, chosen: Tensor) -> Tensor:
        codes = validation.codes[chosen, 0].long()
        value: Tensor = network(codes, labels_of(chosen, validation), None, 0.0)
        return value

    validate = validation_loss(
        len(validation), arguments.micro_batch or 512, training, device, held_out, processes
    )
    compiled = compiles_layers(job, processes)
    task = gradient_task(model, loss, training, size, processes, compiled)
    train(
        job, task, training.steps, training.batch, training.seed, task.trained, config, validate,
        lambda network: validate(network, GLANCE), processes, size, compiled,
        of_stage1(job, validation) if processes.first else None,
        vocabulary=tokens.vocabulary, classes=tokens.classes if settings.class_conditional else [],
    )  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the stage from the command line."""
    arguments = parser(STAGE, __doc__)
    add_training(arguments)
    add_processes(arguments)
    add_pictures(arguments)
    add_updates(arguments)
    arguments.add_argument("--tokens", type=Path, nargs="+", required=True, help="part cards")
    arguments.add_argument("--validation", type=Path, nargs="+", required=True)
    words = sys.argv[1:] if argv is None else argv
    return run(STAGE, arguments.parse_args(words), work, again=words)


if __name__ == "__main__":
    sys.exit(main())
