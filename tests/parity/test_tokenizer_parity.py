"""Encoder, K-Means tokens and VQGAN against vectors that the original DiGIT code computed.

Sizes are read from the files, so other sets of the same format run too.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor

from tessera.io.published import read_state
from tessera.io.weights import load_strictly
from tessera.models.encoders import preprocess
from tessera.models.vit import VisionTransformer, ViTConfig
from tessera.models.vqgan import VQGAN, VQGANConfig
from tessera.quantize.assign import nearest
from tessera.quantize.kmeans import fit_kmeans
from tessera.stages.loading import load_vit

TOLERANCE = 1e-4
HEADS = {"A": 3, "B": 4}  # the one size that is in no file


def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as stored:
        return dict(stored)


def gap(found: Tensor, expected: np.ndarray) -> float:
    """The largest absolute difference; shapes must agree."""
    assert tuple(found.shape) == expected.shape
    return float(np.abs(found.numpy() - expected).max())


@pytest.fixture(scope="module")
def images(golden: Path) -> Tensor:
    """Images in [0, 1], [N, 3, 256, 256]."""
    return torch.from_numpy(arrays(golden / "images.npz")["imgs_u8"]).float() / 255


@pytest.fixture(scope="module")
def dino(golden: Path) -> dict[str, np.ndarray]:
    """The encoder's vectors."""
    return arrays(golden / "dino.npz")


@pytest.fixture(scope="module")
def encoder(golden: Path) -> VisionTransformer:
    """The small DINOv2 of the set, sized by its own file."""
    state = read_state(golden / "dinov2_tiny.pth")
    width, _, patch, _ = state["patch_embed.proj.weight"].shape
    side = int((state["pos_embed"].shape[1] - 1) ** 0.5 + 0.5)
    name = json.loads((golden / "manifest.json").read_text())["set"]
    config = ViTConfig(
        image_size=side * patch,
        patch_size=patch,
        width=width,
        depth=1 + max(int(key.split(".")[1]) for key in state if key.startswith("blocks.")),
        heads=HEADS[name],
        registers=state["register_tokens"].shape[1],
    )
    return load_vit(config, golden / "dinov2_tiny.pth")


@pytest.fixture(scope="module")
def centroids(golden: Path) -> Tensor:
    """The set's centroids [K, d]."""
    return torch.from_numpy(np.load(golden / "km_tiny.npy"))


@torch.inference_mode()
def features(encoder: VisionTransformer, images: Tensor, layer: int = 3) -> Tensor:
    """Patch features at 224 pixels: [B, 256, d]."""
    return encoder.features(preprocess(images, encoder.mean, encoder.std, 224), layer)


def test_resized_input(
    encoder: VisionTransformer, images: Tensor, dino: dict[str, np.ndarray]
) -> None:
    """Normalised first, then bicubic without antialias."""
    x = preprocess(images, encoder.mean, encoder.std, 224)
    assert gap(x[:, :, ::8, ::8], dino["x_resized_strided"]) <= 1e-6


def test_embedding(encoder: VisionTransformer, images: Tensor, dino: dict[str, np.ndarray]) -> None:
    """Class token, registers and the first patches before the first block; resized positions."""
    small = images[:1, :, 16:240, 16:240]
    with torch.inference_mode():
        x = encoder.embed(preprocess(small, encoder.mean, encoder.std, 224))
        positions = encoder.positions((16, 16))
    expected = dino["embed_img0_first40"]
    assert gap(x[:, : expected.shape[1]], expected) <= 1e-5
    assert gap(positions[:, ::8], dino["pos_embed_16x16"]) <= 1e-5


def test_features_of_resized_images(
    encoder: VisionTransformer, images: Tensor, dino: dict[str, np.ndarray]
) -> None:
    """Third block from the end and the final norm, images of 256 pixels."""
    assert gap(features(encoder, images)[:, ::3], dino["feat256"]) <= TOLERANCE


def test_features_of_crops(
    encoder: VisionTransformer, images: Tensor, dino: dict[str, np.ndarray]
) -> None:
    """The last three blocks, images that come at 224 pixels and pass unresized."""
    crops = images[:, :, 16:240, 16:240]
    assert gap(features(encoder, crops), dino["feat224"]) <= TOLERANCE
    assert gap(features(encoder, crops[:1], 2), dino["feat224_n2_img0"]) <= TOLERANCE
    assert gap(features(encoder, crops[:1], 1), dino["feat224_n1_img0"]) <= TOLERANCE


def test_features_of_tiny_activations(
    golden: Path, encoder: VisionTransformer, images: Tensor
) -> None:
    """With the first norm's input scaled down, the epsilon of the norms decides."""
    expected = arrays(golden / "eps_probes.npz")["vit_feat224_n3_img0"]
    crops = preprocess(images[:1, :, 16:240, 16:240], encoder.mean, encoder.std, 224)
    with torch.inference_mode():
        x = encoder.embed(crops) * 1e-3
        for block in encoder.blocks[:-2]:
            x = block(x)
        found = encoder.norm(x)[:, 1 + encoder.config.registers :]
    step = found.shape[1] // expected.shape[1]
    assert gap(found[:, ::step], expected) <= TOLERANCE


def test_tokens(
    encoder: VisionTransformer, images: Tensor, dino: dict[str, np.ndarray], centroids: Tensor
) -> None:
    """Every token is the original's."""
    for name, batch in [("tokens256", images), ("tokens224", images[:, :, 16:240, 16:240])]:
        found = features(encoder, batch)
        tokens = nearest(found.flatten(0, 1), centroids).view(len(batch), -1)
        assert np.array_equal(tokens.numpy(), dino[name])


@pytest.fixture(scope="module")
def vqgan(golden: Path) -> VQGAN:
    """The set's VQGAN, sized by its YAML."""
    params: dict[str, Any] = yaml.safe_load((golden / "vqgan.yaml").read_text())["model"]["params"]
    sizes = params["ddconfig"]
    config = VQGANConfig(
        resolution=sizes["resolution"],
        channels=sizes["ch"],
        multipliers=tuple(sizes["ch_mult"]),
        residual_blocks=sizes["num_res_blocks"],
        codes=params["n_embed"],
        code_width=params["embed_dim"],
    )
    model = VQGAN(config)
    load_strictly(model, read_state(golden / "vqgan.ckpt", key="state_dict"), "vqgan.ckpt")
    return model.eval()


@pytest.fixture(scope="module")
def painted(golden: Path) -> dict[str, np.ndarray]:
    """The VQGAN's vectors."""
    return arrays(golden / "vqgan.npz")


@torch.inference_mode()
def test_vqgan_codes(vqgan: VQGAN, images: Tensor, painted: dict[str, np.ndarray]) -> None:
    """Latents within the tolerance, codes exact, the codebook's loss with commitment 0.25."""
    latents = vqgan.encode(images)
    assert gap(latents, painted["enc_h"]) <= TOLERANCE
    assert np.array_equal(vqgan.quantize(latents).numpy(), painted["codes"])
    output = vqgan(images)
    loss = output.codebook_loss + 0.25 * output.commitment_loss
    assert loss.item() == pytest.approx(float(painted["emb_loss"]), rel=1e-4)


@torch.inference_mode()
def test_vqgan_pixels(vqgan: VQGAN, painted: dict[str, np.ndarray]) -> None:
    """Decoded pixels within the tolerance, bytes within 1."""
    decoded = vqgan.decode_codes(torch.from_numpy(painted["codes"]))
    assert gap(decoded[:, :, ::4, ::4], painted["dec_strided"]) <= TOLERANCE
    assert gap(decoded[:, :, 96:128, 96:128], painted["dec_crop"]) <= TOLERANCE
    pixels = (255 * decoded).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
    difference = pixels[:, 96:160, 96:160].numpy().astype(int) - painted["dec_u8_crop"]
    assert np.abs(difference).max() <= 1
    drawn = vqgan.decode_codes(torch.from_numpy(painted["rnd_codes"]))
    assert gap(drawn[:, :, ::4, ::4], painted["rnd_dec_strided"]) <= TOLERANCE


def test_assignment(golden: Path) -> None:
    """Points fall to the centroids that faiss names."""
    stored = arrays(golden / "kmeans.npz")
    found = nearest(torch.from_numpy(stored["x"]), torch.from_numpy(stored["faiss_centroids"]))
    assert np.array_equal(found.numpy(), stored["assign_to_faiss_centroids"])


def test_kmeans_inertia(golden: Path) -> None:
    """Mean squared distance on all points lies among the original's over 20 seeds."""
    stored = arrays(golden / "kmeans.npz")
    clusters = len(stored["faiss_centroids"])
    rounds = len(stored["faiss_obj"])
    reference = stored["faiss_inertia_20_seeds_all_points"]
    found = [
        fit_kmeans(stored["x"], clusters, rounds, seed).inertia / len(stored["x"])
        for seed in range(8)
    ]
    spread = reference.max() - reference.min()
    assert reference.min() - 0.1 * spread <= min(found)
    assert max(found) <= reference.max() + 0.1 * spread
    assert reference.min() <= np.median(found) <= np.quantile(reference, 0.9)
