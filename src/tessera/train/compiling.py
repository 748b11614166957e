"""The blocks of a transformer as torch.compile makes them, where there is a compiler.

Block by block: all blocks have the same code, so one is compiled for all of them, in seconds, and
what is not a block (tables, loss, samplers, validation) runs as it is.
"""

import copy
import logging
from typing import TypeVar, cast

import torch
from torch import nn

log = logging.getLogger("tessera")
M = TypeVar("M", bound=nn.Module)

MODES = ("auto", "yes", "no")


def compiles(mode: str, device: str) -> bool:
    """Whether a training's blocks are to be compiled.

    Args:
        mode: "yes" and "no", where it is possible; "auto" is "yes" on a GPU. A processor's time is
            that of its matrix products, which compiling does not change.
        device: where the training runs.
    """
    if mode == "no" or (mode == "auto" and torch.device(device).type != "cuda"):
        return False
    return can_compile(device)


def can_compile(device: str) -> bool:
    """Tries the compiler on a small function and its gradient; says in the log why it fails."""

    def small(x: torch.Tensor) -> torch.Tensor:
        return (x.exp() * x).sum()

    try:
        x = torch.ones(8, device=device, requires_grad=True)
        torch.compile(small, dynamic=False)(x).backward()
    except Exception as error:  # of dynamo, of triton, of a C++ compiler that is not there
        reason = (str(error).splitlines() or [""])[0]
        log.warning(
            "torch.compile does not work here (%s: %s): training without it, which is slower",
            type(error).__name__, reason,
        )  # fmt: skip
        return False
    return True


def with_compiled_layers(model: M) -> M:
    """A model whose blocks (`layers`) are compiled, for inputs of fixed shapes.

    Args:
        model: stays as it is.

    Returns:
        A model that shares all parameters and modules with `model`: what trains one trains both.
    """
    if torch.are_deterministic_algorithms_enabled():
        # Stages ask for them without the compiler's modules; its own choices hear of it only so.
        torch.use_deterministic_algorithms(True)
    twin = copy.copy(model)
    twin._modules = dict(model._modules)
    layers = cast(nn.ModuleList, model.layers)
    twin.layers = nn.ModuleList(
        cast(nn.Module, torch.compile(layer, dynamic=False)) for layer in layers
    )
    return twin
