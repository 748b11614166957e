"""Trains a decoder from semantic tokens to VQGAN codes: autoregressive, or MaskGIT's."""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from tessera.config.training import TrainedStage2
from tessera.data.tokens import TokenSet, draw_batch, load_tokens
from tessera.errors import UserError
from tessera.models.gpt import GPT, GPTConfig
from tessera.models.maskgit import MaskGIT, MaskGITConfig
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
from tessera.stages.training_pictures import add_pictures, of_stage2
from tessera.train.distributed import Processes, joined

STAGE = "stage2"


def model_config(
    settings: TrainedStage2, codes: tuple[int, int], semantic: tuple[int, int]
) -> GPTConfig | MaskGITConfig:
    """The sizes of the decoder.

    Args:
        settings: the variant's.
        codes: vocabulary and length of what it draws.
        semantic: vocabulary and length of what it reads.
    """
    kind = GPTConfig if settings.kind == "autoregressive" else MaskGITConfig
    return kind(
        vocabulary=codes[0],
        length=codes[1],
        prefix_vocabulary=semantic[0],
        prefix_length=semantic[1],
        norm="pre",
        **decoder_sizes(settings.model, max(codes[1] + 1, semantic[1])),
    )


def work(job: Job) -> None:
    """Trains the decoder, in this process or as one of several."""
    with joined(job.arguments.device) as processes:
        train_model(job, processes)


def train_model(job: Job, processes: Processes) -> None:
    """Trains the decoder; the first process writes it."""
    arguments = job.arguments
    settings = job.settings(TrainedStage2)
    sets: dict[str, TokenSet] = {}
    for name in ("semantic", "codes", "validation_semantic", "validation_codes"):
        cards = getattr(arguments, name)
        job.inputs(name, cards, "tokens")
        sets[name] = load_tokens([part_file(card) for card in cards]).to(arguments.device)
    semantic, codes = sets["semantic"], sets["codes"]
    require_pairs(semantic, codes)
    require_pairs(sets["validation_semantic"], sets["validation_codes"])
    training = settings.training
    size = micro_batch_size(training.batch, arguments.micro_batch, processes)
    config = model_config(
        settings, (codes.vocabulary, codes.length), (semantic.vocabulary, semantic.length)
    )
    torch.manual_seed(training.seed)
    model = MaskGIT(config) if isinstance(config, MaskGITConfig) else GPT(config)
    model = model.to(arguments.device)
    log.info("%d images, %.2f M parameters", len(codes), _millions(model))

    def loss(network: nn.Module, step: int, micro: int) -> dict[str, Tensor]:
        images, views = draw_batch(
            len(codes),
            codes.codes.shape[1],
            training.batch,
            training.seed,
            step,
            size,
            micro,
            arguments.device,
        )
        target = codes.codes[images, views].long()
        prefix = semantic.codes[images, views].long()
        return {"loss": network(target, None, prefix, settings.label_smoothing)}

    target, prefix = sets["validation_codes"], sets["validation_semantic"]

    def held_out(network: nn.Module, chosen: Tensor) -> Tensor:
        # A masked decoder's loss draws what it hides: the same for the same images.
        torch.manual_seed(training.seed + int(chosen[0]))
        hidden, given = target.codes[chosen, 0].long(), prefix.codes[chosen, 0].long()
        value: Tensor = network(hidden, None, given)
        return value

    validate = validation_loss(
        len(target), arguments.micro_batch or 512, training, arguments.device, held_out, processes
    )

    compiled = compiles_layers(job, processes)
    task = gradient_task(model, loss, training, size, processes, compiled)
    train(
        job, task, training.steps, training.batch, training.seed, task.trained, model.config,
        validate, lambda network: validate(network, GLANCE), processes, size, compiled,
        of_stage2(job, prefix, target) if processes.first else None,
    )  # fmt: skip


def require_pairs(semantic: TokenSet, codes: TokenSet) -> None:
    """Checks that two token sets hold the same views of the same images.

    Raises:
        UserError: they do not.
    """
    if semantic.codes.shape[:2] != codes.codes.shape[:2] or not torch.equal(
        semantic.labels, codes.labels
    ):
        raise UserError(
            f"the semantic tokens hold {tuple(semantic.codes.shape[:2])} images and views, the "
            f"codes {tuple(codes.codes.shape[:2])}, or their classes differ: give both the same "
            "`views` in the config"
        )


def _millions(model: nn.Module) -> float:
    return sum(parameter.numel() for parameter in model.parameters()) / 1e6


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the stage from the command line."""
    arguments = parser(STAGE, __doc__)
    add_training(arguments)
    add_processes(arguments)
    add_pictures(arguments)
    add_updates(arguments)
    for name in ("semantic", "codes", "validation-semantic", "validation-codes"):
        arguments.add_argument(f"--{name}", type=Path, nargs="+", required=True, help="part cards")
    words = sys.argv[1:] if argv is None else argv
    return run(STAGE, arguments.parse_args(words), work, again=words)


if __name__ == "__main__":
    sys.exit(main())
