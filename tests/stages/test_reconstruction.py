"""What an autoencoder loses, against the arithmetic written out."""

import math
import re
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from tessera.stages.loading import load_classifier, load_vqgan


def originals(pipeline, split: str = "validation") -> np.ndarray:
    """The central 32x32 of the 36x36 files of a split, uint8 [N, 3, 32, 32]."""
    files = sorted((pipeline.root / "images" / split).rglob("*.png"))
    images = np.stack([np.asarray(Image.open(file))[2:34, 2:34] for file in files])
    return images.transpose(0, 3, 1, 2)


def packed(pipeline, split: str) -> np.ndarray:
    """The same crops of the packed images, in the order of their numbers."""
    images = {}
    for file in pipeline.card("data", "shapes").parent.glob(f"{split}-*.tar"):
        with tarfile.open(file) as archive:
            for member in archive:
                if member.name.endswith(".png"):
                    picture = Image.open(archive.extractfile(member))
                    images[int(member.name.removesuffix(".png"))] = np.asarray(picture)[2:34, 2:34]
    return np.stack([images[number] for number in range(len(images))]).transpose(0, 3, 1, 2)


@torch.no_grad()
def test_against_the_definition(pipeline):
    """Codes and back, truncated to bytes; PSNR in numpy, the distance by torch-fidelity."""
    images = originals(pipeline)
    model = load_vqgan(pipeline.card("autoencoders", "vqgan").parent, "cpu").eval()
    codes = model.quantize(model.encode(torch.from_numpy(images).float() / 255))
    pixels = model.decode_codes(codes).numpy()
    made = np.floor(np.clip(pixels, 0, 1) * np.float32(255)).astype(np.uint8)
    error = ((made.astype(float) - images.astype(float)) ** 2).mean((1, 2, 3))
    ratio = np.mean([10 * math.log10(255**2 / value) for value in error])
    classifier = load_classifier(pipeline.card("extractors", "cnn").parent, "cpu").eval()
    statistics = [
        fid_features_to_statistics(classifier.features(torch.from_numpy(x) / 255).double())
        for x in (made, images)
    ]
    (distance,) = fid_statistics_to_metric(*statistics, verbose=False).values()
    results = pipeline.read("reconstructions", "vqgan")["results"]
    assert results["metrics"]["psnr_db"] == pytest.approx(ratio, rel=1e-3)
    assert results["metrics"]["fid"] == pytest.approx(distance, rel=1e-3)
    assert results["names"] == {"fid": "rFD (cnn)", "psnr_db": "PSNR"}
    assert results["count"] == results["reference"]["count"] == 12
    assert results["reference"]["split"] == "validation"


@torch.no_grad()
@pytest.mark.parametrize(("split", "spread"), [("validation", 1), ("train", 2)])
def test_the_picture(pipeline, tmp_path, split, spread):
    """Rows of eight originals, their reconstructions below: all 12 images, or 24 of 48."""
    changed = pipeline.changed({"reconstructions.vqgan.split": split})
    card = changed.run("reconstructions", "vqgan", tmp_path)
    assert list(card["outputs"]) == ["grid.png"]
    file = changed.card("reconstructions", "vqgan", tmp_path).parent / "grid.png"
    pixels = np.asarray(Image.open(file)).transpose(2, 0, 1)
    images = packed(pipeline, split)[::spread]
    model = load_vqgan(pipeline.card("autoencoders", "vqgan").parent, "cpu").eval()
    codes = model.quantize(model.encode(torch.from_numpy(images).float() / 255))
    made = (model.decode_codes(codes) * 255).clamp(0, 255).byte().numpy()
    margin = pixels.shape[2] - (8 * 66 - 2)
    for place, (image, reconstruction) in enumerate(zip(images, made, strict=True)):
        left = margin + 66 * (place % 8)
        for shown, line in ((image, 0), (reconstruction, 66)):
            top = place // 8 * (2 * 66 + 8) + line  # ten pixels of white between two pairs of rows
            found = pixels[:, top : top + 64 : 2, left : left + 64 : 2].astype(int)
            assert abs(found - shown).max() <= 1  # in another batch a value may round otherwise
    assert (pixels[:, :, :margin] < 128).any()


@pytest.mark.parametrize("batch", [1, 5, 1000])
def test_batches_change_nothing(pipeline, tmp_path, batch):
    """But rounding."""
    first = pipeline.read("reconstructions", "vqgan")["results"]["metrics"]
    again = pipeline.run("reconstructions", "vqgan", tmp_path, batch=batch)["results"]["metrics"]
    assert again == pytest.approx(first, rel=1e-3)


def test_another_split(pipeline, tmp_path):
    """The training images, without the draws of their views."""
    changed = pipeline.changed({"reconstructions.vqgan.split": "train"})
    results = changed.run("reconstructions", "vqgan", tmp_path)["results"]
    assert (results["count"], results["reference"]["split"]) == (48, "train")


def test_a_longer_training_reconstructs_better(pipeline, tmp_path):
    """So the numbers measure what they say."""
    changed = pipeline.changed({"autoencoders.vqgan.training.steps": 80})
    changed.run("autoencoders", "vqgan", tmp_path)
    card = changed.card("autoencoders", "vqgan", tmp_path)
    better = changed.run("reconstructions", "vqgan", tmp_path, autoencoder=card)
    first = pipeline.read("reconstructions", "vqgan")["results"]["metrics"]
    assert better["results"]["metrics"]["psnr_db"] > first["psnr_db"] + 1


def test_another_autoencoder_than_named(pipeline, tmp_path):
    """Its settings differ, so its card is not the one that is asked for."""
    changed = pipeline.changed({"autoencoders.vqgan.training.seed": 9})
    error = changed.call("reconstructions", "vqgan", tmp_path).error
    assert re.search(r"none of .* is the card of the autoencoder that the settings name", error)
