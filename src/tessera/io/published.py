"""Published weights from files: nothing in them is executed."""

import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from tessera.errors import UserError
from tessera.io.files import sha256_file
from tessera.io.pickles import is_zip, named_globals, plain, stand_ins


def require_digest(path: Path | str, sha256: str) -> str:
    """Checks that a file of published weights is the one that the config names.

    Args:
        path: the file.
        sha256: its digest in hexadecimal, or the first digits of it.

    Returns:
        The whole digest.

    Raises:
        UserError: absent, or of another digest.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"the weights {path} do not exist: download them, or correct the path")
    found = sha256_file(path)
    if not found.startswith(sha256):
        raise UserError(
            f"the weights {path} have the SHA-256 {found}, the config says {sha256}: download "
            "them again, or correct the config"
        )
    return found


def read_checkpoint(path: Path | str) -> dict[str, Any]:
    """Reads all that a .safetensors file or a file of torch.save holds, and executes nothing.

    Tensors, plain values and numpy arrays come as they are, argparse.Namespace too. Objects of
    other packages that published files are known to hold (omegaconf, fairseq, PyTorch Lightning,
    paths) come as stand-ins, see `tessera.io.pickles`. Tensors of large files are mapped, so
    what is not used costs no memory.

    Args:
        path: the file; anything but .safetensors is read by torch with weights_only=True.

    Returns:
        The top level of the file; tensors on the CPU.

    Raises:
        UserError: the file is absent, broken, no dict, or names what could be executed.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"the weights {path} do not exist: download them there or mend the path")
    try:
        if path.suffix == ".safetensors":
            found: Any = safetensors.torch.load_file(path)
        else:
            found = read_pickled(path)
    except UserError:
        raise
    except Exception as error:  # the readers raise many types for a broken file
        raise UserError(
            f"the weights {path} cannot be read ({type(error).__name__}: {one_line(error)}): the "
            "file is broken or no file of weights, so fetch it again; nothing in it was executed"
        ) from error
    if not isinstance(found, dict):
        raise UserError(
            f"the weights {path} hold a {type(found).__name__} where names and tensors are "
            "expected: give the file that its authors call the checkpoint"
        )
    return found


def read_pickled(path: Path) -> Any:
    """Reads a file of torch.save by torch's restricted reader.

    Raises:
        UserError: the file names globals that are not on the list of the harmless ones.
    """
    allowed, refused = stand_ins(named_globals(path))
    if refused:
        raise refusal(path, refused)
    try:
        # A pickle of another protocol only gets a warning; the reader refuses what it cannot read.
        with torch.serialization.safe_globals(allowed), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip(path))
            return plain(found)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        if named is None:
            raise
        raise refusal(path, [named[1]]) from error


def refusal(path: Path, names: list[str]) -> UserError:
    """The error for a file that names what is not known to be harmless."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return UserError(
        f"the weights {path} are refused: they hold more than tensors and plain values, namely "
        f"{', '.join(names[:5])}{more}, which could run code. Nothing in the file was executed: "
        "get it from its authors again, or have someone who trusts it convert it to safetensors"
    )


def read_state(path: Path | str) -> dict[str, Tensor]:
    """The tensors at the top level of a .safetensors file or a file of torch.save, by their names.

    Raises:
        UserError: the file is absent, unreadable, refused, or holds no such tensor.
    """
    found = read_checkpoint(path)
    state = {str(name): value for name, value in found.items() if isinstance(value, Tensor)}
    if not state:
        raise UserError(
            f"the weights {path} hold no tensors but {sorted(map(str, found))[:8]}: give a file "
            "of the network's weights alone"
        )
    return state


def one_line(error: BaseException) -> str:
    """What an error says in one line, without torch's advice to load the file unsafely."""
    text = str(error).partition("WeightsUnpickler error:")
    lines = (text[2] or text[0]).strip().splitlines()
    return lines[0].strip().rstrip(".") if lines else "without a reason"
