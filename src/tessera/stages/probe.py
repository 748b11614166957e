"""Linear classifiers on the mean-pooled hidden states of every layer of a stage-1 model."""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from tessera.config.results import Probe
from tessera.data.tokens import TokenSet, load_tokens
from tessera.errors import UserError
from tessera.models.gpt import GPT
from tessera.stages.job import Job, log, parser, part_file, run
from tessera.stages.loading import load_gpt
from tessera.stages.tokenizing import find_card
from tessera.train.probe import fit_probes

STAGE = "probe"


def hidden_states(model: GPT, tokens: TokenSet, batch: int) -> Tensor:
    """Mean-pooled hidden states of the first view of each image, [layers + 1, N, width]."""
    states = []
    with torch.inference_mode():
        for chosen in torch.arange(len(tokens)).split(batch):
            states.append(model.hidden_states(tokens.codes[chosen, 0].long()).cpu())
    # Cloned outside inference mode: the probe differentiates through products with them.
    return torch.cat(states, dim=1).clone()


def work(job: Job) -> None:
    """Trains and validates the probes of one model."""
    arguments = job.arguments
    settings = job.settings(Probe)
    card = find_card(job, [arguments.model], job.node["inputs"]["stage1"], "model")
    job.inputs("tokens", arguments.tokens, "tokens")
    job.inputs("validation", arguments.validation, "tokens")
    model = load_gpt(card.parent, arguments.device)
    if model.config.classes:
        raise UserError(
            f"the model {card.parent.name} is given the class, so a probe of it would measure "
            "nothing: probe unconditional models"
        )
    train = load_tokens([part_file(path) for path in arguments.tokens])
    validation = load_tokens([part_file(path) for path in arguments.validation])
    found = fit_probes(
        hidden_states(model, train.to(arguments.device), arguments.batch),
        train.labels,
        hidden_states(model, validation.to(arguments.device), arguments.batch),
        validation.labels,
        classes=len(train.classes),
        steps=settings.steps,
        batch=settings.batch,
        learning_rate=settings.learning_rate,
        seed=settings.seed,
        batch_norm=settings.batch_norm,
        device=arguments.device,
    )
    layers = [
        {"layer": layer, "top1": top1, "top5": top5}
        for layer, (top1, top5) in enumerate(zip(found.accuracy, found.top5, strict=True))
    ]
    best = found.best_layer
    results = {
        "layers": layers,
        "best_layer": best,
        "top1": found.accuracy[best],
        "images": len(validation),
        "classes": len(train.classes),
    }
    job.finish(arguments.card, [], results)
    log.info("best layer %d: top-1 %.1f %%", best, 100 * found.accuracy[best])


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the stage from the command line."""
    arguments = parser(STAGE, __doc__)
    arguments.add_argument("--batch", type=int, default=256, help="images at once")
    arguments.add_argument("--model", type=Path, required=True, help="card of the model")
    arguments.add_argument("--tokens", type=Path, nargs="+", required=True, help="part cards")
    arguments.add_argument("--validation", type=Path, nargs="+", required=True)
    return run(STAGE, arguments.parse_args(argv), work)


if __name__ == "__main__":
    sys.exit(main())
