"""The trace of the original's trainer, the loss on given logits, and the learning rates."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tessera.models.fairseq_names import to_fairseq
from tessera.models.gpt import GPT
from tessera.nn.loss import symbol_cross_entropy
from tessera.train.optimizers import adamw
from tessera.train.schedules import cosine, inverse_sqrt
from tessera.train.task import GradientTask
from tests.parity import models
from tests.parity.checks_transformers import worst
from tests.parity.reference_set import ReferenceSet
from tests.parity.registry import LOSS, Measured, Quantity, gap, relative, source

TRACE = "train_trace.npz"
WEIGHTS = 2e-5  # after updates of up to 3e-3 each; another place of Adam's eps makes 2.7e-5
RELATIVE = 1e-4
# Of the recipe of digit-golden; what the manifest says comes first.
RECIPE: dict[str, Any] = {
    "lr": 3e-3,
    "warmup_updates": 4,
    "warmup_init_lr": 1e-7,
    "clip_norm": 1.0,
    "weight_decay": 0.01,
    "betas": (0.9, 0.98),
    "eps": 1e-8,
    "dropout": 0.0,
    "label_smoothing": 0.1,
}


class Trace:
    """The recorded updates, repeated.

    Args:
        reference: the folder.
        name: the model that the original trained.
    """

    def __init__(self, reference: ReferenceSet, name: str) -> None:
        self.reference, self.name = reference, name
        self.recipe = RECIPE | {
            key: value for key, value in reference.fact("train_trace", {}).items() if key in RECIPE
        }

    def stored(self, key: str) -> np.ndarray:
        """One of the trace's arrays."""
        return self.reference.numpy(TRACE, key)

    def steps(self) -> int:
        """Updates recorded."""
        for key in ("loss", "gnorm", "lr", "nll"):
            if self.reference.has(f"{TRACE}:{key}"):
                return len(self.stored(key))
        return int(self.reference.fact("train_trace/updates"))

    def task(self) -> tuple[GradientTask, Tensor, dict[str, Tensor]]:
        """The task before its first update, and the codes of its only batch."""
        recipe, found = self.recipe, models.decoder(self.reference, self.name)
        model = models.build_decoder(
            self.reference, self.name, found.model.config.heads, dropout=recipe["dropout"]
        )
        assert isinstance(model, GPT)

        def loss(network: nn.Module, step: int, micro: int) -> dict[str, Tensor]:
            return {
                "loss": network(
                    found.codes, label_smoothing=recipe["label_smoothing"], **found.extra
                )
            }

        def rate(step: int) -> float:
            return inverse_sqrt(
                step, recipe["lr"], recipe["warmup_updates"], recipe["warmup_init_lr"]
            )

        optimizer = adamw(
            model.parameters(), tuple(recipe["betas"]), recipe["eps"], recipe["weight_decay"]
        )
        task = GradientTask(model, loss, optimizer, rate, clip=recipe["clip_norm"] or None)
        return task, found.codes, found.extra

    def repeated(self) -> tuple[dict[str, list[float]], dict[int, dict[str, Tensor]]]:
        """Metrics before each update and after the last; weights before all and after each."""

        def make() -> tuple[dict[str, list[float]], dict[int, dict[str, Tensor]]]:
            task, codes, extra = self.task()
            assert isinstance(task.model, GPT)
            metrics: dict[str, list[float]] = {"nll": [], "loss": []}
            weights = {0: self.renamed(task.model.state_dict())}
            for step in range(self.steps()):
                with torch.no_grad():
                    metrics["nll"].append(float(task.model(codes, **extra)))
                for name, value in task.update(step).items():
                    metrics.setdefault(name, []).append(float(value))
                weights[step + 1] = self.renamed(task.model.state_dict())
            with torch.no_grad():
                smoothing = self.recipe["label_smoothing"]
                metrics["loss"].append(float(task.model(codes, label_smoothing=smoothing, **extra)))
            return metrics, weights

        return self.reference.once("trace", make)

    @staticmethod
    def renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Copies of a state dict's tensors under the original names."""
        return {name: value.detach().clone() for name, value in to_fairseq(state).items()}

    def gradients(self) -> dict[str, Tensor]:
        """The first gradient under the original names."""

        def make() -> dict[str, Tensor]:
            task, codes, extra = self.task()
            model = task.model
            loss = model(codes, label_smoothing=self.recipe["label_smoothing"], **extra)
            grads = torch.autograd.grad(loss, list(model.parameters()))
            names = [name for name, _ in model.named_parameters()]
            return self.renamed(dict(zip(names, grads, strict=True)))

        return self.reference.once("first gradient", make)

    def tensors(self, found: dict[str, Tensor], key: str) -> Measured:
        """A stored tensor, or its first rows where the name says `[:n]`."""
        name, _, rows = key.partition("/")[2].partition("[:")
        stored = self.stored(key)
        return gap(found[name][: int(rows.rstrip("]"))] if rows else found[name], stored)

    def norms(self, kind: str) -> Measured:
        """Norms of all tensors: at the start, at the end, or of the way between.

        A k bias does not change the softmax, so its gradient is rounding alone, which Adam turns
        into whole steps: after the start it is left out.
        """
        order = self.reference.fact("train_trace/param_order")
        if order is None:
            state = models.decoder_state(self.reference, self.name)
            order = [name for name in state if name != "decoder.version"]
        weights = self.repeated()[1]
        last = max(weights)
        made = {
            "param_norm_start": lambda name: weights[0][name],
            "param_norm_end": lambda name: weights[last][name],
            "param_delta_norm_end": lambda name: (
                weights[last][name].double() - weights[0][name].double()
            ),
            "grad0_norms": lambda name: self.gradients()[name],
        }[kind]
        stored = self.stored(kind)
        if len(stored) != len(order):
            raise ValueError(f"{len(order)} tensors where {len(stored)} norms are stored")
        kept = [
            i for i, name in enumerate(order)
            if kind == "param_norm_start" or not name.endswith("k_proj.bias")
        ]  # fmt: skip
        found = [float(made(order[i]).double().norm()) for i in kept]
        left = len(order) - len(kept)
        return relative(found, stored[kept], f", {left} k biases left out" if left else "")


@source
def trace_quantities(reference: ReferenceSet) -> Iterator[Quantity]:
    """Rates, losses, norms, gradients and weights of the recorded updates."""
    name = reference.fact("train_trace/model", "stage1_uncond")
    trace = Trace(reference, name)

    def one(title: str, key: str, bound: float, measure) -> Quantity:
        needs = (f"{TRACE}:{key}", f"{name}.pt", f"{name}.npz:tgt")
        return Quantity(f"training {title} ({key})", needs, bound, measure)

    metrics = lambda key: trace.repeated()[0][key]  # noqa: E731
    yield one(
        "rates", "lr", 1e-9, lambda: gap(
            [trace.task()[0].schedule(step) for step in range(trace.steps())], trace.stored("lr")
        ),
    )  # fmt: skip
    yield one("losses", "loss", LOSS, lambda: gap(metrics("loss")[:-1], trace.stored("loss")))
    yield one("losses", "nll", LOSS, lambda: gap(metrics("nll"), trace.stored("nll")))
    yield one(
        "loss", "loss_before", LOSS, lambda: gap(metrics("loss")[0], trace.stored("loss_before"))
    )
    yield one(
        "loss", "loss_after", LOSS, lambda: gap(metrics("loss")[-1], trace.stored("loss_after"))
    )
    yield one(
        "gradient norms before clipping", "gnorm", RELATIVE,
        lambda: relative(metrics("gradient_norm"), trace.stored("gnorm")),
    )  # fmt: skip
    yield one(
        "first gradient's norm", "grad0_total_norm", LOSS,
        lambda: relative(
            sum(float(g.double().square().sum()) for g in trace.gradients().values()) ** 0.5,
            trace.stored("grad0_total_norm"),
        ),
    )  # fmt: skip
    for key in ("grad0_norms", "param_norm_start", "param_norm_end", "param_delta_norm_end"):
        yield one("norms of all tensors", key, RELATIVE, lambda key=key: trace.norms(key))
    for key in reference.keys(TRACE):
        after = re.fullmatch(r"after(\d+)", key.partition("/")[0])
        if key.startswith("grad0/"):
            yield one(
                "first gradient", key, LOSS,
                lambda key=key: trace.tensors(trace.gradients(), key),
            )  # fmt: skip
        elif key.startswith("end/") or after:
            yield one(
                "weights", key, WEIGHTS,
                lambda key=key, at=int(after[1]) if after else -1: trace.tensors(
                    trace.repeated()[1][at if at >= 0 else trace.steps()], key
                ),
            )  # fmt: skip


@source
def criterion_quantities(reference: ReferenceSet) -> Iterator[Quantity]:
    """The original's loss on logits of its own, with and without a mask."""
    file = "criterion.npz"

    def measure(key: str) -> Measured:
        logits, target = reference.tensor(file, "logits"), reference.tensor(file, "tgt")
        kind, digits = re.match(r"(\w+?)_ls(\d+)", key).groups()  # type: ignore[union-attr]
        smoothing = 0.0 if key.endswith("_nll") else float(f"{digits[0]}.{digits[1:] or 0}")
        selected = reference.tensor(file, "mask") if kind == "masked" else None
        if kind == "unmasked2d":  # one prediction an image, as the linear probe's
            logits, target = logits[:, 0], target[:, 0]
        return gap(
            symbol_cross_entropy(logits, target, smoothing, selected), reference.numpy(file, key)
        )

    usual = ["masked_ls01", "masked_ls0", "all_ls01", "unmasked2d_ls0"]
    for key in dict.fromkeys([*usual, *reference.keys(file)]):
        if re.match(r"(masked|all|unmasked2d)_ls\d+(_nll)?$", key):
            needs = (f"{file}:{key}", f"{file}:logits", f"{file}:tgt")
            needs += (f"{file}:mask",) if key.startswith("masked") else ()
            yield Quantity(f"criterion ({key})", needs, LOSS, lambda key=key: measure(key))


@source
def schedule_quantities(reference: ReferenceSet) -> Iterator[Quantity]:
    """Learning rates at full size."""

    def measure(name: str) -> Measured:
        kind, peak, last = re.fullmatch(r"(inverse_sqrt|cosine)_([\d.e-]+)_w?(\d+)", name).groups()  # type: ignore[union-attr]
        pairs = {}
        for step, rate in reference.fact("lr_schedules")[name].items():
            if kind == "cosine":
                made = cosine(int(step), float(peak), 0, int(last))
            else:
                made = inverse_sqrt(int(step), float(peak), int(last), 1e-7)
            pairs[step] = gap(made / float(peak), rate / float(peak))
        return worst(pairs)

    for name in reference.fact("lr_schedules", {}) or ["inverse_sqrt_3e-4_w6250"]:
        yield Quantity(
            f"learning rates ({name})", ("manifest.json:lr_schedules",), 1e-9,
            lambda name=name: measure(name),
        )  # fmt: skip
