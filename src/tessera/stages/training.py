"""What the training stages share: the loop with its folders, the model, metrics and card."""

import json
import shutil
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tessera.allocator import keep_freed_memory
from tessera.config.training import Training, TransformerShape
from tessera.data.images import spread
from tessera.errors import SharedError, UserError
from tessera.io.files import whole_file
from tessera.io.weights import save_model
from tessera.stages.job import Job, log
from tessera.train.checkpoints import Checkpoint
from tessera.train.compiling import MODES, compiles
from tessera.train.distributed import ALONE, Processes
from tessera.train.ema import Ema
from tessera.train.loop import Task, fit
from tessera.train.optimizers import adamw
from tessera.train.schedules import cosine, inverse_sqrt
from tessera.train.task import GradientTask

GLANCE = 2048
"""Validation images whose loss is logged on the way; all of them are at the end."""


def add_updates(parser: ArgumentParser) -> None:
    """Adds how the updates of a transformer are computed."""
    parser.add_argument("--micro-batch", type=int, default=0, help="images at once; 0: all")
    parser.add_argument(
        "--compile", choices=MODES, default="auto", help="compile the blocks; auto: on a GPU"
    )


def compiles_layers(job: Job, processes: Processes) -> bool:
    """Whether this job compiles the blocks of its transformer: all its processes, or none."""
    return not processes.any(not compiles(job.arguments.compile, job.arguments.device))


def decoder_sizes(shape: TransformerShape, positions: int) -> dict[str, Any]:
    """What the configs of all decoders take from the settings.

    Args:
        shape: the settings.
        positions: positions that the longest sequence takes.

    Raises:
        UserError: the settings give fewer positions.
    """
    if shape.max_positions is not None and shape.max_positions < positions:
        raise UserError(
            f"config: max_positions ({shape.max_positions}) is less than the {positions} positions "
            "that a sequence takes: raise it, or leave it out"
        )
    return {
        "width": shape.width,
        "layers": shape.layers,
        "heads": shape.heads,
        "ffn": shape.ffn or 4 * shape.width,
        "dropout": shape.dropout,
        "position_scale": shape.position_scale,
        "max_positions": shape.max_positions or positions,
    }


def schedule(training: Training) -> Callable[[int], float]:
    """Update → learning rate, as configured."""

    def rate(step: int) -> float:
        if training.schedule == "inverse_sqrt":
            return inverse_sqrt(
                step, training.learning_rate, training.warmup, training.initial_learning_rate
            )
        return cosine(
            step, training.learning_rate, training.warmup, training.steps,
            training.final_learning_rate, training.initial_learning_rate,
        )  # fmt: skip

    return rate


def validation_loss(
    images: int,
    batch: int,
    training: Training,
    device: str,
    loss: Callable[[nn.Module, Tensor], Tensor],
    processes: Processes,
) -> Callable[..., dict[str, float]]:
    """Makes the function that gives a mean loss over validation images.

    The images are spread over the processes.

    Args:
        images: images of the split.
        batch: images at once.
        training: its precision is that of the forward passes.
        device: where they run.
        loss: mean loss of a network over images, given by their places.
        processes: all of which call the function together.

    Returns:
        A function of the network and, optionally, of how many images, evenly spread, are enough.
    """
    bfloat16 = training.precision == "bfloat16"

    def validate(network: nn.Module, enough: int = images) -> dict[str, float]:
        chosen, total = torch.from_numpy(spread(images, enough)), 0.0
        for some in processes.share(chosen.split(batch)):
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=bfloat16):
                value = loss(network, some)
            total += float(value) * len(some)
        return {"loss": processes.total([total])[0] / len(chosen)}

    return validate


def micro_batch_size(batch: int, asked: int, processes: Processes) -> int:
    """Images at once in each process.

    Args:
        batch: images an update.
        asked: the size that is wished for; 0 takes a process's whole share of the batch.
        processes: those that train together.

    Raises:
        UserError: the processes would not have equally many micro-batches of equal size.
    """
    size = asked or batch // processes.count
    if not size or batch % (size * processes.count):
        raise SharedError(
            f"a batch of {batch} images gives {processes.count} processes no equal numbers of "
            f"micro-batches{f' of {asked}' if asked else ''}: change --micro-batch, the number of "
            "GPUs, or training.batch of the config"
        )
    return size


def gradient_task(
    model: nn.Module,
    loss: Callable[..., Any],
    training: Training,
    micro_batch: int,
    processes: Processes,
    compiled: bool,
) -> GradientTask:
    """The task of a transformer's training in micro-batches of a size that divides the batch."""
    return GradientTask(
        model,
        loss,
        adamw(model.parameters(), training.betas, training.eps, training.weight_decay),
        schedule(training),
        clip=training.clip,
        ema=Ema(model, training.ema) if training.ema is not None else None,
        accumulate=training.batch // micro_batch,
        autocast=torch.bfloat16 if training.precision == "bfloat16" else None,
        seed=training.seed,
        processes=processes,
        compiled=compiled,
    )


def train(
    job: Job,
    task: Task,
    steps: int,
    batch: int,
    seed: int,
    trained: Callable[[], nn.Module],
    config: Any,
    validate: Callable[[nn.Module], dict[str, float]],
    glance: Callable[[nn.Module], dict[str, float]] | None = None,
    processes: Processes = ALONE,
    micro_batch: int = 0,
    compiled: bool = False,
    show: Callable[[nn.Module], dict[str, NDArray[np.uint8]]] | None = None,
    **facts: Any,
) -> None:
    """Runs a training to its end and writes model, metrics and card.

    The first of several processes writes; all compute.

    Args:
        job: the running job; its inputs are read already.
        task: what is trained.
        steps: updates.
        batch: images an update.
        seed: seed of the updates.
        trained: gives the model to save.
        config: the dataclass that builds that model.
        validate: the saved model's metrics on the validation split.
        glance: metrics that are logged on the way; None logs those of `validate`, which for a
            large split would cost more than the training.
        processes: those that train together.
        micro_batch: images at once; 0 is all.
        compiled: whether the layers are compiled.
        show: what TensorBoard shows of the saved model, see `tessera.stages.training_pictures`.
        facts: further JSON values beside the model's config.
    """
    keep_freed_memory()
    arguments = job.arguments
    results: Path = arguments.card.parents[2]
    # Micro-batches and compiled layers draw dropout of their own: a state goes on with its like.
    folder = job.resume_folder(results, micro_batch if micro_batch < batch else 0, compiled)
    name = f"{job.stage}/{arguments.card.parent.name}"

    def on_log(step: int) -> dict[str, float]:
        with _evaluated(trained()) as model:
            values = (glance or validate)(model)
        return {f"validation_{key}": value for key, value in values.items()}

    def pictures() -> dict[str, NDArray[np.uint8]]:
        with _evaluated(trained()) as model:
            return show(model) if show else {}

    started = fit(
        task,
        steps=steps,
        seed=seed,
        folder=folder,
        log_every=arguments.log_every,
        checkpoint_every=arguments.checkpoint_every,
        tensorboard=results / "tensorboard" / name,
        on_log=on_log,
        show=pictures if show else None,
        # The same in all processes, of which the first alone has anything to show.
        show_every=getattr(arguments, "pictures_every", 0),
        processes=processes,
    )
    model = trained().eval()
    _require_finite(model, steps)
    with torch.inference_mode():
        validation = validate(model)
    if not processes.first:
        return
    outputs = save_model(arguments.card.parent, model, config, **facts)
    lines = arguments.card.parent / "metrics.jsonl"
    with whole_file(lines) as temporary:
        shutil.copyfile(folder / "metrics.jsonl", temporary)
    last = json.loads(lines.read_text().splitlines()[-1])
    final = {k: v for k, v in last.items() if k != "step" and not k.startswith("validation_")}
    job.finish(
        arguments.card,
        # The lines also depend on how often they are written, which is no part of the result.
        outputs,
        {
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "steps": steps,
            "batch": batch,
            "images_seen": steps * batch,
            "final": final,
            "validation": validation,
        },
        run={"resumed_at": started, "processes": processes.count, "compiled": compiled},
    )
    Checkpoint(folder).remove()
    if validation:
        log.info("validation: %s", ", ".join(f"{k} {v:.4g}" for k, v in validation.items()))


@contextmanager
def _evaluated(model: nn.Module) -> Iterator[nn.Module]:
    """The model in eval mode and without gradients, and afterwards as it was."""
    was_training = model.training
    try:
        with torch.inference_mode():
            yield model.eval()
    finally:  # a training goes on after a picture that failed
        model.train(was_training)


def _require_finite(model: nn.Module, steps: int) -> None:
    # The loop sees the loss before each update; only this sees what the last one left.
    for name, tensor in model.state_dict().items():
        if not tensor.isfinite().all():
            raise SharedError(
                f"the weight {name} is no longer finite after update {steps}: lower the learning "
                "rate, lengthen the warm-up or clip the gradients more tightly"
            )
