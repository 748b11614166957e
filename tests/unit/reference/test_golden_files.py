"""Every file of the reference set goes through `tessera import` and gives the original's numbers.

Tolerances are those of the set: 1e-4 on logits, features and pixels; codes and tokens exactly.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tessera.io.files import read_json, sha256_file
from tessera.models.encoders import preprocess
from tessera.models.gpt import GPT
from tessera.models.maskgit import MaskGIT
from tessera.quantize.assign import nearest
from tessera.sampling.autoregressive import sample_autoregressive
from tessera.stages.loading import (
    load_centroids,
    load_decoder,
    load_encoder,
    load_gpt,
    load_vqgan,
)

CLOSE = {"atol": 1e-4, "rtol": 0}


def arrays(golden: Path, name: str) -> dict[str, Tensor]:
    with np.load(golden / f"{name}.npz") as file:
        return {key: torch.from_numpy(np.asarray(file[key])) for key in file.files}


@pytest.mark.parametrize(
    ("name", "section"),
    [
        ("stage1_uncond", "stage1"),
        ("stage1_cls", "stage1"),
        ("stage2_vq", "stage1"),
        ("stage2_ar", "stage2"),
    ],
)
@torch.no_grad()
def test_autoregressive(golden, imported, name, section) -> None:
    """Logits, and greedy decodes with the cache; the record tells the file."""
    out = imported(section, golden / f"{name}.pt")
    model = load_gpt(out, "cpu") if section == "stage1" else load_decoder(out, "cpu")
    assert isinstance(model, GPT)
    z = arrays(golden, name)
    extra: dict[str, Any] = {}
    if "cls_ids" in z:
        extra["labels"] = z["cls_ids"]
    if "sem" in z:
        extra["prefix"] = z["sem"]
    codes = z["tgt"][:, :-1] - 5
    torch.testing.assert_close(model.logits(codes, **extra), z["logits"], **CLOSE)
    half = torch.full(codes.shape, 0.5, dtype=torch.float64)
    drawn = sample_autoregressive(model, half, temperature=0.0, **extra)
    assert torch.equal(drawn, z["greedy_tokens"])
    record = read_json(out / "published.json")
    assert record["section"] == section
    assert record["source"]["sha256"] == sha256_file(golden / f"{name}.pt")
    assert record["files"] == {
        file: sha256_file(out / file) for file in ("model.safetensors", "model.json")
    }
    manifest = read_json(golden / "manifest.json")["reference_checkpoint_keys"]
    assert record["facts"]["parameters"] == manifest[name]["n_params_decoder"]


def test_facts_of_stage_1(golden, imported) -> None:
    """What later stages read beside the sizes: the vocabulary, and a name for each class."""
    said = read_json(imported("stage1", golden / "stage1_cls.pt") / "model.json")
    assert said["classes"] == [str(number) for number in range(1000)]
    assert said["vocabulary"] == len(np.load(golden / "km_tiny.npy"))


def test_an_unconditional_stage_1_has_no_classes(golden, imported) -> None:
    """An empty list of names."""
    assert (
        read_json(imported("stage1", golden / "stage1_uncond.pt") / "model.json")["classes"] == []
    )


@torch.no_grad()
def test_masked(golden, imported) -> None:
    """The checkpoint's own name for its model tells that it is the masked one."""
    model = load_decoder(imported("stage2", golden / "stage2_nar.pt"), "cpu")
    assert isinstance(model, MaskGIT)
    z = arrays(golden, "stage2_nar")
    prefix, length = z["sem"].shape[1], z["vq"].shape[1]
    hidden = z["input_ids"][:, prefix + 1 :] == 3
    logits = model.logits(z["vq"], hidden, prefix=z["sem"])
    torch.testing.assert_close(logits, z["logits"][:, -length:], **CLOSE)


def test_the_kind_of_a_stage_2_can_be_said(golden, imported, refused) -> None:
    """Where the checkpoint does not contradict."""
    said = refused("stage2", golden / "stage2_nar.pt", "--decoder", "autoregressive")
    assert "stage2_nar.pt says that its decoder is masked" in said
    out = imported("stage2", golden / "stage2_nar.pt", "--decoder", "masked")
    assert isinstance(load_decoder(out, "cpu"), MaskGIT)


@torch.no_grad()
def test_autoencoder(golden, imported) -> None:
    """Latents, codes and pixels."""
    model = load_vqgan(imported("autoencoder", golden / "vqgan.ckpt"), "cpu")
    images = arrays(golden, "images")["imgs_u8"].float() / 255
    z = arrays(golden, "vqgan")
    latents = model.encode(images)
    torch.testing.assert_close(latents, z["enc_h"], **CLOSE)
    assert torch.equal(model.quantize(latents), z["codes"])
    pixels = model.decode_codes(z["codes"])[:, :, ::4, ::4]
    torch.testing.assert_close(pixels, z["dec_strided"], **CLOSE)


@pytest.mark.parametrize("file", ["dinov2_tiny.pth", "stage1_uncond.pt"])
@torch.no_grad()
def test_encoder_and_codebook(golden, imported, file) -> None:
    """Features and tokens, with the encoder's own file and with that of a full checkpoint."""
    heads = {"A": "3", "B": "4"}[read_json(golden / "manifest.json")["set"]]
    encoder = load_encoder(imported("encoder", golden / file, "--heads", heads), "cpu")
    images = arrays(golden, "images")["imgs_u8"].float() / 255
    x = preprocess(images, encoder.mean, encoder.std, 224)
    features = encoder.features(x, layer=3)
    z = arrays(golden, "dino")
    torch.testing.assert_close(features[:, ::3], z["feat256"], **CLOSE)


@pytest.mark.parametrize("file", ["km_tiny.npy", "stage1_cls.pt"])
def test_codebook(golden, tmp_path, imported, file) -> None:
    """The published array, and the centroids that a checkpoint holds the other way round."""
    expected = np.load(golden / "km_tiny.npy")
    out = imported("codebook", golden / file)
    centroids = load_centroids(out, expected.shape[1], "cpu")
    assert centroids.dtype == torch.float32
    np.testing.assert_allclose(centroids.numpy(), expected, atol=1e-6)
    z = arrays(golden, "dino")
    tokens = nearest(z["feat224"].flatten(0, 1), centroids).view(z["tokens224"].shape)
    assert torch.equal(tokens, z["tokens224"])
    assert read_json(out / "published.json")["facts"] == {
        "clusters": len(expected),
        "width": expected.shape[1],
    }
