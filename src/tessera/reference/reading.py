"""What the readers of published files share: tensors picked from a checkpoint, and sizes of them.

The files are untrusted: whatever a shape or a name in them says is checked before it is used.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from tessera.errors import UserError
from tessera.io.weights import load_strictly, unmade

Layout = tuple[str | None, str]
"""Where a file keeps a network: the entry of its top level, and the beginning of the names."""

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Found:
    """What was read from a published file, ready to be written.

    Attributes:
        section: the section of the config that a variant of it belongs to.
        description: its kind and sizes, in one line.
        facts: JSON values for the record, such as the number of parameters.
        settings: what a variant of it says beside `kind` and `path`; None asks the user.
        write: writes its files into a folder and returns them.
    """

    section: str
    description: str
    facts: dict[str, Any]
    settings: dict[str, Any]
    write: Callable[[Path], list[Path]]


def require_file(path: Path) -> None:
    """Checks that a path is a file, and none of those that a download leaves in its place.

    Raises:
        UserError: it is absent, a folder, empty, a web page, another text, or git's pointer.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder: name the file in it that holds the weights")
    if not path.is_file():
        raise UserError(f"{path} does not exist: download it, or correct FILE")
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): check its rights") from error
    again = "download the file itself"
    if not head:
        raise UserError(f"{path} is empty: {again}")
    if head.startswith(b"version https://git-lfs"):
        raise UserError(f"{path} is only git-lfs's pointer to the file: {again} (`git lfs pull`)")
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise UserError(f"{path} is a web page and no file of weights: {again}, not its page")
    if all(byte >= 32 or byte in b"\t\r\n" for byte in head):
        raise UserError(f"{path} is a text and no file of weights: {again}")


def pick(
    path: Path,
    checkpoint: Mapping[Any, Any],
    layouts: Sequence[Layout],
    witness: str,
    what: str,
) -> dict[str, Tensor]:
    """The tensors of a network, under the first layout that holds a certain name.

    Args:
        path: the file, for messages.
        checkpoint: its top level.
        layouts: where to look, in this order.
        witness: a name that each such network has, or the beginning of one if it ends in a dot.
        what: the network's kind, for messages.

    Raises:
        UserError: the network is nowhere.
    """
    for key, prefix in layouts:
        entry = checkpoint if key is None else checkpoint.get(key)
        if not isinstance(entry, Mapping):
            continue
        state = {
            str(name).removeprefix(prefix): value
            for name, value in entry.items()
            if str(name).startswith(prefix) and isinstance(value, Tensor)
        }
        if witness in state or (
            witness.endswith(".") and any(name.startswith(witness) for name in state)
        ):
            return state
    places = [f"the names {p}…" if k is None and p else k for k, p in layouts if k or p]
    raise UserError(
        f"{path} holds no {what}, whose names include {witness} (looked at the top level"
        f"{''.join(f', in {place}' for place in dict.fromkeys(places))}): check SECTION and FILE"
    )


def floats(path: Path, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors in float32, each with a storage of its own; those that are so already stay.

    Raises:
        UserError: one holds no numbers, is no plain tensor, or is not finite.
    """
    result = {}
    for name, value in state.items():
        if value.layout != torch.strided or value.is_quantized or not value.is_floating_point():
            raise UserError(
                f"{path}: {name} is no plain tensor of floating-point numbers "
                f"({value.dtype}, {value.layout}): get the file anew"
            )
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise UserError(
                f"{path}: {name} claims more numbers than the file holds: get the file anew"
            )
        own = value.detach().float().contiguous()
        if own.untyped_storage().nbytes() != own.numel() * own.element_size():
            own = own.clone()  # a view into a larger storage, which safetensors refuses
        if not own.isfinite().all():
            raise UserError(f"{path}: {name} holds numbers that are not finite: get the file anew")
        result[name] = own
    return result


def shape(path: Path, state: Mapping[str, Tensor], name: str, dims: int) -> tuple[int, ...]:
    """The shape of a tensor that tells a size.

    Raises:
        UserError: it is absent, empty, or has another number of dimensions.
    """
    if name not in state:
        raise UserError(f"{path} holds no {name}: check SECTION and FILE, or get the file anew")
    found = tuple(state[name].shape)
    if len(found) != dims or 0 in found:
        raise UserError(
            f"{path}: {name} has the shape {found}, but {dims} dimensions are expected: "
            "check SECTION and FILE"
        )
    return found


def count_of(path: Path, names: Iterable[str], stem: str) -> int:
    """How many numbered modules there are below `stem` (`blocks.` for `blocks.0.…`).

    Raises:
        UserError: none, or their numbers have gaps.
    """
    found = set()
    for name in names:
        number = name.removeprefix(stem).split(".", 1)[0]
        if name.startswith(stem) and number.isdecimal():
            found.add(int(number))
    if not found or max(found) + 1 != len(found):
        raise UserError(
            f"{path}: the modules {stem}0, {stem}1, … are not complete: get the file anew"
        )
    return len(found)


def build(path: Path, made: Callable[[], Network], state: dict[str, Tensor]) -> Network:
    """A network around tensors that are there already: nothing is drawn or copied.

    Args:
        path: the file, for messages.
        made: makes the network; it is called where tensors take no memory.
        state: all its tensors.

    Raises:
        UserError: a name is missing, unexpected, or has another shape.
    """
    with unmade():
        model = made()
    load_strictly(model, state, path, assign=True, cure="check SECTION and FILE")
    return model.eval()


def parameters(model: nn.Module) -> int:
    """The number of trainable numbers."""
    return sum(parameter.numel() for parameter in model.parameters())


def entries(value: Any) -> dict[str, Any]:
    """A part of a checkpoint's settings as a dict: they are dicts, or argparse's namespaces."""
    if isinstance(value, Mapping):
        return {str(key): entry for key, entry in value.items()}
    return dict(vars(value)) if hasattr(value, "__dict__") else {}
