"""A model with one optimiser: the task of every training but the adversarial ones."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from tessera.train.compiling import with_compiled_layers
from tessera.train.distributed import ALONE, Processes, unsynchronized
from tessera.train.ema import Ema
from tessera.train.loop import seed_update
from tessera.train.optimizers import set_update


class GradientTask:
    """Gradient descent on one loss.

    Args:
        model: what is trained.
        loss: (model, step, micro) → scalars, `loss` among them, to be differentiated: the mean
            over micro-batch number `micro` of the update.
        optimizer: holds the model's parameters.
        schedule: update → learning rate.
        clip: largest global gradient norm, or None.
        ema: averaged weights, or None.
        accumulate: micro-batches an update, of equal size, over all processes; each process takes
            equally many.
        autocast: None, or the type of the forward pass's arithmetic.
        seed: together with the update and the micro-batch, the seed of all micro-batches but the
            first, for which the loop's seed of the update stands.
        processes: those that train together; each holds a copy of the model.
        compiled: whether the model's layers are compiled for the updates; `model` itself stays.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[[nn.Module, int, int], dict[str, Tensor]],
        optimizer: torch.optim.Optimizer,
        schedule: Callable[[int], float],
        clip: float | None = None,
        ema: Ema | None = None,
        accumulate: int = 1,
        autocast: torch.dtype | None = None,
        seed: int = 0,
        processes: Processes = ALONE,
        compiled: bool = False,
    ) -> None:
        self.model, self.loss, self.optimizer, self.schedule = model, loss, optimizer, schedule
        self.clip, self.ema, self.autocast, self.seed = clip, ema, autocast, seed
        self.micros = processes.share(range(accumulate))
        self.network = processes.synchronized(with_compiled_layers(model) if compiled else model)
        self.device = next(model.parameters()).device

    def update(self, step: int) -> dict[str, Tensor]:
        """One update; returns the loss terms, the learning rate and the gradient's norm.

        The loss terms are means over this process's micro-batches, the gradient is that of all.
        """
        self.model.train()
        rate = self.schedule(step)
        set_update(self.optimizer, step, rate)
        self.optimizer.zero_grad(set_to_none=True)
        totals: dict[str, Tensor] = {}
        for micro in self.micros:
            last = micro == self.micros[-1]
            if micro:
                seed_update(self.seed, step, micro)
            with nullcontext() if last else unsynchronized(self.network):
                with torch.autocast(
                    self.device.type, dtype=self.autocast, enabled=self.autocast is not None
                ):
                    terms = self.loss(self.network, step, micro)
                (terms["loss"] / len(self.micros)).backward()
            for name, value in terms.items():
                part = value.detach() / len(self.micros)
                totals[name] = totals[name] + part if name in totals else part
        # Measured also where nothing is clipped: a rising norm is the first sign of divergence.
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.clip or float("inf"))
        self.optimizer.step()
        if self.ema is not None:
            self.ema.update(self.model)
        return totals | {"gradient_norm": norm, "learning_rate": torch.tensor(rate)}

    def trained(self) -> nn.Module:
        """The model to save: the averaged one where there is one."""
        return self.model if self.ema is None else self.ema.model

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimiser and average."""
        state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        return state | ({"ema": self.ema.state_dict()} if self.ema else {})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Puts weights, optimiser and average back."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
