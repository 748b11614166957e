"""Linear classifiers on the mean-pooled hidden states of every layer of a stage-1 model.

The hidden states are kept in memory where they are few (`--keep-mb`) and made anew for each update
where they are many. Either way an update draws its images and one view of each by seed, and a run
that was stopped goes on from its checkpoint.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from tessera.config.lineage import drawn_node
from tessera.config.results import Probe
from tessera.data.tokens import TokenSet, draw_batch, load_tokens
from tessera.errors import UserError
from tessera.models.gpt import GPT
from tessera.stages.job import Job, add_processes, add_training, log, parser, part_file, run
from tessera.stages.loading import load_gpt
from tessera.stages.tokenizing import find_card
from tessera.train.checkpoints import Checkpoint
from tessera.train.distributed import Processes, joined
from tessera.train.loop import fit
from tessera.train.pooled import PooledStates, pooled_bytes
from tessera.train.probe import Batch, ProbeTask, check_labels

STAGE = "probe"
KEEP_MB = 2000
"""Hidden states of both splits up to this size, in millions of bytes, are kept in memory."""


def work(job: Job) -> None:
    """Trains and validates the probes of one model, in this process or as one of several."""
    with joined(job.arguments.device) as processes:
        probe_model(job, processes)


def probe_model(job: Job, processes: Processes) -> None:
    """Trains and validates; the hidden states are spread over the processes, the rest is cheap."""
    arguments = job.arguments
    settings = job.settings(Probe)
    card = find_card(job, [arguments.model], job.node["inputs"]["stage1"], "model")
    node = tokens_node(job.node)
    sets = []
    for name, paths in (("tokens", arguments.tokens), ("validation", arguments.validation)):
        for part in job.inputs(name, paths, "tokens"):
            if part["node"] != node:
                raise UserError(
                    f"--{name} of the probe {arguments.card.parent.name} are of another token set "
                    "than the settings name: give the cards of that one"
                )
    model = load_gpt(card.parent, arguments.device)
    if model.config.classes:
        raise UserError(
            f"the model {card.parent.name} is given the class, so a probe of it would measure "
            "nothing: probe unconditional models"
        )
    for name, paths in (("training", arguments.tokens), ("validation", arguments.validation)):
        found = load_tokens([part_file(path) for path in paths]).to(arguments.device)
        check_labels(found.labels, len(found.classes), name)
        sets.append(found)
    train, validation = sets
    if train.vocabulary != model.config.vocabulary:
        raise UserError(
            f"the tokens have {train.vocabulary} values and the model {card.parent.name} reads "
            f"{model.config.vocabulary}: give tokens of the tokenizer that it draws"
        )
    results_folder: Path = arguments.card.parents[2]
    folder = job.resume_folder(results_folder)
    states, validated = pool(model, train, validation, settings, arguments, processes)
    batch = min(settings.batch, len(train))

    def draw(step: int) -> Batch:
        images, views = draw_batch(len(train), train.codes.shape[1], batch, settings.seed, step)
        return states(images, views), train.labels[images]

    task = ProbeTask(
        draw, model.config.layers + 1, model.config.width, len(train.classes), settings.steps,
        settings.learning_rate, settings.seed, settings.batch_norm, arguments.device,
    )  # fmt: skip
    started = fit(
        task,
        steps=settings.steps,
        seed=settings.seed,
        folder=folder,
        log_every=arguments.log_every,
        checkpoint_every=arguments.checkpoint_every,
        tensorboard=results_folder / "tensorboard" / STAGE / arguments.card.parent.name
        / arguments.card.stem,
        processes=processes,
    )  # fmt: skip
    measured = task.validate(validated.batches(batch))
    if not processes.first:
        return
    layers = [
        {"layer": layer, "top1": top1, "top5": top5}
        for layer, (top1, top5) in enumerate(zip(measured.accuracy, measured.top5, strict=True))
    ]
    best = measured.best_layer
    results = {
        "layers": layers,
        "best_layer": best,
        "top1": measured.accuracy[best],
        "images": len(validation),
        "classes": len(train.classes),
    }
    kept = states.kept_LNVD is not None
    facts = {"resumed_at": started, "states_kept": kept, "processes": processes.count}
    job.finish(arguments.card, [], results, run=facts)
    Checkpoint(folder).remove()
    log.info("best layer %d: top-1 %.1f %%", best, 100 * measured.accuracy[best])


def tokens_node(node: dict[str, Any]) -> dict[str, Any]:
    """The node of the token set that a probe reads: its own, or the one of the model's training.

    Raises:
        UserError: neither is named, or the tokens are not those that the model draws.
    """
    model = node["inputs"]["stage1"]
    found: dict[str, Any] | None = node["inputs"].get("tokens") or model["inputs"].get("tokens")
    if found is None:
        raise UserError(
            "--settings name no token set, and the published model was trained on none: set "
            "`tokens` of the probe"
        )
    if drawn_node(model) not in found["inputs"].values():
        raise UserError(
            "--settings name tokens of another tokenizer than the one whose codes the model "
            "draws: name tokens of that one"
        )
    return found


def pool(
    model: GPT,
    train: TokenSet,
    validation: TokenSet,
    settings: Probe,
    arguments: Any,
    processes: Processes,
) -> tuple[PooledStates, PooledStates]:
    """The hidden states of both splits: all kept in memory, or all made anew."""
    size = pooled_bytes(model, train) + pooled_bytes(model, validation, views=1)
    keep = size <= arguments.keep_mb * 1e6
    log.info(
        "%d images of %d views for training, %d for validation: %.3g GB of hidden states, %s",
        len(train), train.codes.shape[1], len(validation), size / 1e9,
        "kept in memory" if keep else "made anew for each update",
    )  # fmt: skip
    autocast = torch.bfloat16 if settings.precision == "bfloat16" else None
    batch = arguments.batch
    return (
        PooledStates(model, train, batch, autocast, keep, processes=processes),
        PooledStates(model, validation, batch, autocast, keep, views=1, processes=processes),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the stage from the command line."""
    arguments = parser(STAGE, __doc__)
    add_training(arguments)
    add_processes(arguments)
    arguments.add_argument("--batch", type=int, default=256, help="images at once in the model")
    arguments.add_argument(
        "--keep-mb",
        type=float,
        default=KEEP_MB,
        help=f"hidden states up to this size are kept in memory (default {KEEP_MB} MB)",
    )
    arguments.add_argument("--model", type=Path, required=True, help="card of the model")
    arguments.add_argument("--tokens", type=Path, nargs="+", required=True, help="part cards")
    arguments.add_argument("--validation", type=Path, nargs="+", required=True)
    words = sys.argv[1:] if argv is None else argv
    return run(STAGE, arguments.parse_args(words), work, again=words)


if __name__ == "__main__":
    sys.exit(main())
