"""Optimisers that do not import torch's compiler.

torch's import it in order to tell it that it must not trace them, which takes 2 s of each training
that compiles nothing else, and of one that does changes nothing: what is compiled are the blocks.
"""

import inspect

import torch
from torch.optim import SGD, Adam, AdamW, Optimizer

_GUARDED = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")


def spare_compiler() -> None:
    """Takes the guards off the optimisers that trainings use, in this process.

    Where torch has other guards than are known here, they stay, and cost what they cost.
    """
    for name in _GUARDED:
        plain = inspect.unwrap(getattr(Optimizer, name))
        # Where a guarded function keeps itself, unguarded, once it has imported the compiler.
        plain.__dynamo_disable = plain
    for kind in (SGD, Adam, AdamW):
        plain = inspect.unwrap(kind.step)
        if plain is not kind.step:
            kind.step = torch.no_grad()(plain)  # type: ignore[method-assign]
