"""Models from the files that other stages wrote."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tessera.errors import UserError
from tessera.io.codebooks import read_codebook
from tessera.io.files import read_json
from tessera.io.published import read_state
from tessera.io.weights import load_into, load_strictly, read_model_config, unmade
from tessera.models.classifier import Classifier, ClassifierConfig
from tessera.models.encoders import Encoder, TimmEncoder, in_timm_layout, input_size_of
from tessera.models.gpt import GPT, GPTConfig
from tessera.models.maskgit import MaskGIT, MaskGITConfig
from tessera.models.vit import PositionResampling, VisionTransformer, ViTConfig
from tessera.models.vqgan import VQGAN, VQGANConfig


def _config(folder: Path, model: str) -> dict[str, Any]:
    values = read_model_config(folder, model)["config"]
    return {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}


def load_gpt(folder: Path, device: str) -> GPT:
    """The GPT of a stage-1 or stage-2 variant, for inference."""
    with unmade():
        model = GPT(GPTConfig(**_config(folder, "GPT")))
    load_into(model, folder)
    return model.to(device)


def load_decoder(folder: Path, device: str) -> GPT | MaskGIT:
    """The decoder of a stage-2 variant, of either kind, for inference."""
    if read_json(folder / "model.json").get("model") == "GPT":
        return load_gpt(folder, device)
    with unmade():
        model = MaskGIT(MaskGITConfig(**_config(folder, "MaskGIT")))
    load_into(model, folder)
    return model.to(device)


def load_vqgan(folder: Path, device: str) -> VQGAN:
    """A trained autoencoder, for inference."""
    with unmade():
        model = VQGAN(VQGANConfig(**_config(folder, "VQGAN")))
    load_into(model, folder)
    return model.to(device)


def load_classifier(folder: Path, device: str) -> Classifier:
    """A trained classifier, for inference."""
    model = Classifier(ClassifierConfig(**_config(folder, "Classifier")))
    load_into(model, folder)
    return model.to(device)


def load_encoder(folder: Path, device: str) -> Encoder:
    """The frozen encoder in a folder: trained here, imported, or timm's.

    Raises:
        UserError: the folder holds no encoder, or timm does not know its name any more.
    """
    model: VisionTransformer | TimmEncoder
    if read_json(folder / "model.json").get("model") == "TimmEncoder":
        config = read_model_config(folder, "TimmEncoder")["config"]
        model = TimmEncoder(config["name"], config["position_resampling"], **config["options"])
    else:
        with unmade():
            model = VisionTransformer(ViTConfig(**_config(folder, "VisionTransformer")))
    load_into(model, folder)
    return model.to(device)


def load_centroids(folder: Path, width: int, device: str) -> Tensor:
    """A codebook's centroids, float32 [K, width].

    Raises:
        UserError: absent, damaged, or not made from features of this width.
    """
    path = folder / "centroids.npy"
    centroids = read_codebook(path)
    if centroids.shape[1] != width:
        raise UserError(
            f"{path} has the shape {centroids.shape}, but the encoder's features have {width} "
            "channels: name the encoder that the codebook was made from"
        )
    return torch.from_numpy(centroids).to(device)


def load_timm(
    name: str,
    weights_path: Path | str | None = None,
    position_resampling: PositionResampling = "dinov2",
    **options: Any,
) -> TimmEncoder:
    """A timm encoder with weights from a local file or from the hub, in evaluation mode.

    The file is in timm's own layout, or in one that timm knows how to read as this model, such as
    Meta's of DINOv2. Its position table is not touched: the model is built for the input that the
    table stands for. The classifier that many files hold beside the network is left out.

    Args:
        name: a name that `timm.create_model` knows.
        weights_path: .safetensors, or a file of torch.save that holds tensors only; None lets
            timm fetch the weights from the hub by the name.
        position_resampling: how positions are made for other inputs, see `TimmEncoder`.
        options: passed on to `timm.create_model`.

    Raises:
        UserError: unknown name, unreadable file, or weights that do not fit or cannot be fetched.
    """
    if weights_path is None:
        encoder = TimmEncoder(name, position_resampling, pretrained=True, **options)
        return encoder.eval().requires_grad_(False)
    state = read_state(weights_path)
    size = input_size_of(state)
    if size is not None:
        options = {"img_size": size} | options
    encoder = TimmEncoder(name, position_resampling, **options)
    heads = encoder.model.pretrained_cfg.get("classifier") or ()
    heads = (heads,) if isinstance(heads, str) else tuple(heads)
    state = {k: v for k, v in state.items() if not k.startswith(tuple(f"{h}." for h in heads))}
    load_strictly(encoder.model, in_timm_layout(state, encoder.model), weights_path)
    return encoder.eval().requires_grad_(False)
