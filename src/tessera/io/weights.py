"""Trained models on disk: safetensors for the weights, JSON for what is needed to build them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from tessera.errors import UserError
from tessera.io.files import read_json, whole_file, write_json

WEIGHTS, CONFIG = "model.safetensors", "model.json"


class _Undrawn(TorchFunctionMode):
    """Leaves out `normal_`: torch decomposes it on the meta device, and imports its compiler."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if func in (nn.init.normal_, Tensor.normal_):
            return given["tensor"] if "tensor" in given else args[0]
        return func(*args, **given)


@contextmanager
def unmade() -> Iterator[None]:
    """Within it a model takes no memory and draws no weights: `load_into` gives it a file's.

    `torch.device("meta")` alone would cost each job 2 s of imports.
    """
    with torch.device("meta"), _Undrawn():
        yield


def save_model(folder: Path | str, module: nn.Module, config: Any, **facts: Any) -> list[Path]:
    """Writes a model's weights and its config into `folder`.

    Args:
        folder: where `model.safetensors` and `model.json` go.
        module: the model; its state dict is saved on the CPU.
        config: the frozen dataclass that builds it.
        facts: further JSON values, such as the image normalisation.

    Returns:
        The two files.
    """
    if not is_dataclass(config) or isinstance(config, type):
        raise TypeError("config must be an instance of a dataclass")
    folder = Path(folder)
    state = {k: v.detach().cpu().contiguous() for k, v in module.state_dict().items()}
    with whole_file(folder / WEIGHTS) as temporary:
        save_file(state, temporary)
    write_json(folder / CONFIG, {"model": type(module).__name__, "config": asdict(config)} | facts)
    return [folder / WEIGHTS, folder / CONFIG]


def read_model_config(folder: Path | str, model: str) -> dict[str, Any]:
    """The JSON beside the weights, checked to be that of a `model`.

    Raises:
        UserError: absent, damaged, or of another model.
    """
    found = read_json(Path(folder) / CONFIG)
    if found.get("model") != model:
        raise UserError(
            f"{folder} holds a {found.get('model')!r} where a {model!r} is needed: "
            "check which variant the config names"
        )
    return found


def load_into(module: nn.Module, folder: Path | str) -> nn.Module:
    """Loads weights strictly and puts the module into evaluation mode.

    Raises:
        UserError: the file is absent, damaged, or its names or shapes differ.
    """
    path = Path(folder) / WEIGHTS
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{path} is absent or damaged: delete its folder and run its stage again"
        ) from error
    # A module that was built without memory takes the tensors of the file as its own.
    assign = any(parameter.is_meta for parameter in module.parameters())
    load_strictly(module, state, path, assign)
    return module.eval().requires_grad_(False)


def load_strictly(
    model: nn.Module,
    state: dict[str, Tensor],
    source: Path | str,
    assign: bool = False,
    cure: str = "name the model that they were made for",
) -> None:
    """Loads weights, all of them and nothing else.

    Args:
        model: what they are loaded into.
        state: names and tensors.
        source: where they come from, for messages.
        assign: take the tensors themselves, so that a model without memory gets theirs.
        cure: what to do where they do not fit, for messages.

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
        raise UserError(f"the weights {source} do not fit the model ({'; '.join(said)}): {cure}")
    model.load_state_dict(state, strict=True, assign=assign)
