"""What the training stages share: the loop with its folders, the model, metrics and card."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tessera.config.training import Training, TransformerShape
from tessera.data.images import spread
from tessera.errors import UserError
from tessera.io.files import whole_file
from tessera.io.weights import save_model
from tessera.stages.job import Job, log
from tessera.train.checkpoints import Checkpoint
from tessera.train.ema import Ema
from tessera.train.loop import Task, fit
from tessera.train.optimizers import adamw
from tessera.train.schedules import cosine, inverse_sqrt
from tessera.train.task import GradientTask

GLANCE = 2048
"""Validation images whose loss is logged on the way; all of them are at the end."""


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
) -> Callable[..., dict[str, float]]:
    """Makes the function that gives a mean loss over validation images.

    Args:
        images: images of the split.
        batch: images at once.
        training: its precision is that of the forward passes.
        device: where they run.
        loss: mean loss of a network over images, given by their places.

    Returns:
        A function of the network and, optionally, of how many images, evenly spread, are enough.
    """
    bfloat16 = training.precision == "bfloat16"

    def validate(network: nn.Module, enough: int = images) -> dict[str, float]:
        chosen, total = torch.from_numpy(spread(images, enough)), 0.0
        for some in chosen.split(batch):
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=bfloat16):
                value = loss(network, some)
            total += float(value) * len(some)
        return {"loss": total / len(chosen)}

    return validate


def gradient_task(
    model: nn.Module, loss: Callable[..., Any], training: Training, micro_batch: int
) -> GradientTask:
    """The task of a transformer's training; a micro-batch of 0 takes the batch at once."""
    return GradientTask(
        model,
        loss,
        adamw(model.parameters(), training.betas, training.eps, training.weight_decay),
        schedule(training),
        clip=training.clip,
        ema=Ema(model, training.ema) if training.ema is not None else None,
        accumulate=training.batch // micro_batch if micro_batch else 1,
        autocast=torch.bfloat16 if training.precision == "bfloat16" else None,
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
    **facts: Any,
) -> None:
    """Runs a training to its end and writes model, metrics and card.

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
        facts: further JSON values beside the model's config.
    """
    arguments = job.arguments
    results: Path = arguments.card.parents[2]
    folder = job.resume_folder(results)
    name = f"{job.stage}/{arguments.card.parent.name}"

    def on_log(step: int) -> dict[str, float]:
        model = trained()
        was_training = model.training
        with torch.inference_mode():
            values = (glance or validate)(model.eval())
        model.train(was_training)
        return {f"validation_{key}": value for key, value in values.items()}

    started = fit(
        task,
        steps=steps,
        seed=seed,
        folder=folder,
        log_every=arguments.log_every,
        checkpoint_every=arguments.checkpoint_every,
        tensorboard=results / "tensorboard" / name,
        on_log=on_log,
    )
    model = trained().eval()
    _require_finite(model, steps)
    outputs = save_model(arguments.card.parent, model, config, **facts)
    lines = arguments.card.parent / "metrics.jsonl"
    with whole_file(lines) as temporary:
        shutil.copyfile(folder / "metrics.jsonl", temporary)
    last = json.loads(lines.read_text().splitlines()[-1])
    final = {k: v for k, v in last.items() if k != "step" and not k.startswith("validation_")}
    with torch.inference_mode():
        validation = validate(model)
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
        run={"resumed_at": started},
    )
    Checkpoint(folder).remove()
    if validation:
        log.info("validation: %s", ", ".join(f"{k} {v:.4g}" for k, v in validation.items()))


def _require_finite(model: nn.Module, steps: int) -> None:
    # The loop sees the loss before each update; only this sees what the last one left.
    for name, tensor in model.state_dict().items():
        if not tensor.isfinite().all():
            raise UserError(
                f"the weight {name} is no longer finite after update {steps}: lower the learning "
                "rate, lengthen the warm-up or clip the gradients more tightly"
            )
