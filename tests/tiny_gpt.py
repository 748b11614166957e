"""A small GPT of each kind with what it is given: for tests that draw from it."""

from typing import Any

import torch
from torch import Tensor

from tessera.models.gpt import GPT, GPTConfig

L, K, P = 6, 11, 5
"""Codes of an image, codes there are, and codes of a prefix."""
KINDS = ["plain", "classes", "prefix"]


def build(kind: str, width: int = 16) -> GPT:
    """A model in eval mode whose samples vary."""
    extra: dict[str, Any] = {}
    if kind == "classes":
        extra = {"classes": 4}
    if kind == "prefix":
        extra = {"prefix_vocabulary": 7, "prefix_length": P}
    torch.manual_seed(1)
    config = GPTConfig(
        vocabulary=K, length=L, width=width, layers=2, heads=4, ffn=2 * width, max_positions=9,
        norm="pre" if kind == "prefix" else "post", **extra,
    )  # fmt: skip
    model = GPT(config).eval()
    with torch.no_grad():
        model.output.weight.mul_(3)
    return model


def inputs(kind: str, n: int, device: str = "cpu") -> dict[str, Tensor]:
    """Labels or a prefix of n images, for a model that takes them."""
    torch.manual_seed(2)
    if kind == "classes":
        return {"labels": torch.randint(4, (n,)).to(device)}
    return {"prefix": torch.randint(7, (n, P)).to(device)} if kind == "prefix" else {}
