"""Libraries without torch's compiler, whose import takes 2 s, where nothing is compiled.

torch's optimisers import it in order to tell it that it must not trace them, which changes nothing
for us: what is compiled are the blocks. torchvision takes a function from it that only operators
call that nobody uses here.
"""

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch.optim import SGD, Adam, AdamW, Optimizer

_GUARDED = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")


def spare_compiler() -> None:
    """Takes the guards off the optimisers that trainings use, in this process.

    Guards that are not known here, of another torch, stay on.
    """
    for name in _GUARDED:
        plain = inspect.unwrap(getattr(Optimizer, name))
        # Where a guarded function keeps itself, unguarded, once it has imported the compiler.
        plain.__dynamo_disable = plain
    for kind in (SGD, Adam, AdamW):
        plain = inspect.unwrap(kind.step)
        if plain is not kind.step:
            kind.step = torch.no_grad()(plain)  # type: ignore[method-assign]


@contextmanager
def deferred_compiler() -> Iterator[None]:
    """While it lasts, functions that are imported from torch's compiler import it when called."""
    names = ("torch._dynamo", "torch._dynamo.utils")
    if names[0] in sys.modules:
        yield
        return
    stand_ins = {name: ModuleType(name) for name in names}

    def remove() -> None:
        for name, module in stand_ins.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]

    def deferred(name: str) -> Callable[..., Any]:
        if name.startswith("__"):  # who looks through all modules asks for their files
            raise AttributeError(name)

        def call(*arguments: Any, **options: Any) -> Any:
            remove()
            return getattr(import_module(names[1]), name)(*arguments, **options)

        return call

    stand_ins[names[1]].__getattr__ = deferred  # type: ignore[method-assign]
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        remove()
