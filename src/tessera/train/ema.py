"""Exponential moving average of a model's weights."""

import copy

import torch
from torch import Tensor, nn


class Ema:
    """Averaged weights: a <- decay a + (1 - decay) w after every update.

    Attributes:
        model: a copy of the model that holds the average; in evaluation mode, without gradients.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Takes the model's weights into the average; buffers are copied."""
        averaged: list[Tensor] = list(self.model.parameters())
        current: list[Tensor] = list(model.parameters())
        torch._foreach_lerp_(averaged, current, 1 - self.decay)
        for mine, theirs in zip(self.model.buffers(), model.buffers(), strict=True):
            mine.copy_(theirs)

    def state_dict(self) -> dict[str, Tensor]:
        """The averaged weights."""
        return self.model.state_dict()

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Puts averaged weights back."""
        self.model.load_state_dict(state)
