"""Models from the files that other stages wrote."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tessera.errors import UserError
from tessera.io.files import read_json
from tessera.io.published import read_state, require_digest
from tessera.io.weights import load_into, load_strictly, read_model_config
from tessera.models.classifier import Classifier, ClassifierConfig
from tessera.models.encoders import Encoder, TimmEncoder
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
    if read_json(folder / "model.json").get("model") == "GPT":
        return load_gpt(folder, device)
    model = MaskGIT(MaskGITConfig(**_config(folder, "MaskGIT")))
    load_into(model, folder)
    return model.to(device)


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


def load_timm(
    name: str,
    weights_path: Path | str,
    *,
    key: str | None = None,
    prefix: str = "",
    **options: Any,
) -> TimmEncoder:
    """A timm encoder with weights from a local file, in evaluation mode.

    The classifier that many files hold beside the network is left out: its name is known to timm.

    Args:
        name: a name that `timm.create_model` knows.
        weights_path: .safetensors, or a file of torch.save that holds tensors only.
        key: see `read_state`.
        prefix: see `read_state`.
        options: passed on to `timm.create_model`.

    Raises:
        UserError: unknown name, unreadable file, or weights that do not fit.
    """
    encoder = TimmEncoder(name, **options)
    heads = encoder.model.pretrained_cfg.get("classifier") or ()
    heads = (heads,) if isinstance(heads, str) else tuple(heads)
    state = read_state(weights_path, key, prefix)
    state = {k: v for k, v in state.items() if not k.startswith(tuple(f"{h}." for h in heads))}
    load_strictly(encoder.model, state, weights_path)
    return encoder.eval().requires_grad_(False)


def load_vit(
    config: ViTConfig,
    weights_path: Path | str,
    *,
    key: str | None = None,
    prefix: str = "",
) -> VisionTransformer:
    """The own ViT with weights from a local file, in evaluation mode; see `load_timm`."""
    encoder = VisionTransformer(config)
    load_strictly(encoder, read_state(weights_path, key, prefix), weights_path)
    return encoder.eval().requires_grad_(False)
