"""Published weights from files: nothing in them is executed."""

from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from tessera.errors import UserError
from tessera.io.files import sha256_file


def require_digest(path: Path | str, sha256: str) -> None:
    """Checks that a file of published weights is the one that the config names.

    Raises:
        UserError: absent, or of another digest.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"the weights {path} do not exist: download them, or correct the path")
    found = sha256_file(path)
    if found != sha256:
        raise UserError(
            f"the weights {path} have the SHA-256 {found}, the config says {sha256}: download "
            "them again, or correct the config"
        )


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
