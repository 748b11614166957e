"""Models from the files that other stages wrote."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tessera.errors import UserError
from tessera.io.weights import load_into, read_model_config, require_digest
from tessera.models.classifier import Classifier, ClassifierConfig
from tessera.models.encoders import Encoder, load_timm
from tessera.models.gpt import GPT, GPTConfig
from tessera.models.maskgit import MaskGIT, MaskGITConfig
from tessera.models.vit import VisionTransformer, ViTConfig
from tessera.models.vqgan import VQGAN, VQGANConfig


def _config(folder: Path, model: str) -> dict[str, Any]:
    values = read_model_config(folder, model)["config"]
    return {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}


def load_gpt(folder: Path, device: str) -> GPT:
    """The GPT of a stage-1 or stage-2 variant, for inference."""
    model = GPT(GPTConfig(**_config(folder, "GPT")))
    load_into(model, folder)
    return model.to(device)


def load_decoder(folder: Path, device: str) -> GPT | MaskGIT:
    """The decoder of a stage-2 variant, of either kind, for inference."""
    kind = read_json_model(folder)
    if kind == "GPT":
        return load_gpt(folder, device)
    model = MaskGIT(MaskGITConfig(**_config(folder, "MaskGIT")))
    load_into(model, folder)
    return model.to(device)


def read_json_model(folder: Path) -> str:
    """The class of the model that lies in a folder."""
    from tessera.io.files import read_json

    return str(read_json(folder / "model.json").get("model"))


def load_vqgan(folder: Path, device: str) -> VQGAN:
    """A trained autoencoder, for inference."""
    model = VQGAN(VQGANConfig(**_config(folder, "VQGAN")))
    load_into(model, folder)
    return model.to(device)


def load_classifier(folder: Path, device: str) -> Classifier:
    """A trained classifier, for inference."""
    model = Classifier(ClassifierConfig(**_config(folder, "Classifier")))
    load_into(model, folder)
    return model.to(device)


def load_encoder(node: dict[str, Any], file: Path, device: str) -> Encoder:
    """The frozen encoder of a node: trained here, or published.

    Args:
        node: the encoder's node.
        file: the card of its training, or the file of its weights.
        device: where it runs.
    """
    settings = node["settings"]
    if settings["kind"] == "trained":
        model = VisionTransformer(ViTConfig(**_config(file.parent, "VisionTransformer")))
        load_into(model, file.parent)
        return model.to(device)
    require_digest(file, settings["sha256"])
    encoder = load_timm(settings["model"], file)
    encoder.to(device)
    return encoder


def load_centroids(folder: Path, width: int, device: str) -> Tensor:
    """A codebook's centroids, float32 [K, width].

    Raises:
        UserError: absent, damaged, or not made from features of this width.
    """
    path = folder / "centroids.npy"
    try:
        centroids = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} is absent or damaged: run the stage `codebook` again") from error
    if centroids.ndim != 2 or centroids.shape[1] != width:
        raise UserError(
            f"{path} has the shape {centroids.shape}, but the encoder's features have {width} "
            "channels: name the encoder that the codebook was made from"
        )
    return torch.from_numpy(centroids.astype(np.float32)).to(device)
