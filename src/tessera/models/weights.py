"""Weights from files: read without running code, loaded strictly."""

from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from tessera.errors import UserError


def read_state(path: Path | str, key: str | None = None, prefix: str = "") -> dict[str, Tensor]:
    """Reads a state dict from a .safetensors file or a file of torch.save (tensors only).

    Args:
        path: the file; anything but .safetensors is read by torch with weights_only=True.
        key: the entry that holds the state dict, if the file holds more (`teacher`, `state_dict`).
        prefix: only names that begin with it are kept, and it is cut off (`backbone.`).

    Raises:
        UserError: the file is absent, unreadable, or holds no such entry.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"the weights {path} do not exist: download them there or mend the path")
    try:
        if path.suffix == ".safetensors":
            state: Any = safetensors.torch.load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the readers raise many types for a broken file
        raise UserError(
            f"the weights {path} cannot be read ({type(error).__name__}): the file is broken or "
            "holds more than tensors, so fetch it again or convert it to safetensors"
        ) from error
    if key is not None:
        if key not in state:
            raise UserError(
                f"the weights {path} hold no entry {key!r}: choose one of {sorted(state)[:8]}"
            )
        state = state[key]
    chosen = {
        name.removeprefix(prefix): value
        for name, value in state.items()
        if name.startswith(prefix) and isinstance(value, Tensor)
    }
    if not chosen:
        raise UserError(
            f"the weights {path} hold no tensor whose name begins with {prefix!r}: "
            f"the names are like {sorted(map(str, state))[:3]}"
        )
    return chosen


def load_strictly(model: nn.Module, state: dict[str, Tensor], source: Path | str) -> None:
    """Loads weights, all of them and nothing else.

    Raises:
        UserError: a name is missing, unexpected, or has another shape; the message names them.
    """
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in state.items()}
    complaints = {
        "missing": sorted(wanted.keys() - found.keys()),
        "unexpected": sorted(found.keys() - wanted.keys()),
        "of another shape": [
            f"{name} {found[name]} for {wanted[name]}"
            for name in sorted(wanted.keys() & found.keys())
            if wanted[name] != found[name]
        ],
    }
    said = [
        f"{kind}: {', '.join(names[:6])}{f' and {len(names) - 6} more' if len(names) > 6 else ''}"
        for kind, names in complaints.items()
        if names
    ]
    if said:
        raise UserError(
            f"the weights {source} do not fit the model ({'; '.join(said)}): "
            "name the model that they were made for"
        )
    model.load_state_dict(state, strict=True)
