"""Trained models on disk: safetensors for the weights, JSON for what is needed to build them."""

from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from tessera.errors import UserError
from tessera.io.files import read_json, sha256_file, whole_file, write_json

WEIGHTS, CONFIG = "model.safetensors", "model.json"


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
        module.load_state_dict(load_file(path), strict=True)
    except (FileNotFoundError, SafetensorError) as error:
        raise UserError(
            f"{path} is absent or damaged: delete its folder and run its stage again"
        ) from error
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise UserError(f"{path} does not fit the model ({reason}): run its stage again") from error
    return module.eval().requires_grad_(False)


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
