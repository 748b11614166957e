"""The original's files through the whole workflow: imported, adopted, sampled, evaluated.

`snakemake` runs on variants of kind `published` alone; nothing is trained. What it draws greedily,
and the tokens that it gives to the reference images, are the original's own.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from tessera.cli import main
from tessera.config import guard
from tessera.io.parts import read_part

REPO = Path(__file__).parents[2]
GREEDY = {"temperature": 0}
EVERY = {"random_crop": False, "crop": 256}

pytestmark = [pytest.mark.slow, pytest.mark.workflow]


def import_file(golden: Path, folder: Path, section: str, name: str, *options: str) -> str:
    out = folder / "published" / name.partition(".")[0]
    words = ["import", "digit", section, str(golden / name), "--out", str(out), *options]
    assert main(words) == 0
    return str(out)


@pytest.fixture(scope="module")
def results(golden: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of results of a run on the original's files and reference images."""
    folder = tmp_path_factory.mktemp("published")
    with np.load(golden / "images.npz") as stored:
        pixels = stored["imgs_u8"]
    for split in ("train", "val"):
        for index, image in enumerate(pixels):  # a class an image: its label tells which it is
            file = folder / "images" / split / f"image_{index}" / "0.png"
            file.parent.mkdir(parents=True)
            Image.fromarray(image.transpose(1, 2, 0)).save(file)
    heads = str({"A": 3, "B": 4}[json.loads((golden / "manifest.json").read_text())["set"]])
    encoder = import_file(golden, folder, "encoder", "dinov2_tiny.pth", "--heads", heads)
    vqgan = import_file(golden, folder, "autoencoder", "vqgan.ckpt")
    published: dict[str, Any] = {"kind": "published"}
    stage1 = {
        "uncond": {"codebook": "km", "class_conditional": False},
        "cls": {"codebook": "km", "class_conditional": True},
        "vq": {"autoencoder": "vqgan", "class_conditional": False},
    }
    stage2 = {"ar": "autoregressive", "nar": "masked"}
    config = {
        "base": None,
        "results": "results",
        "data": {"reference": {"kind": "folder", "path": "images", "in_place": True,
                               "shards": {"train": 1, "validation": 1}}},
        "views": {"whole": {"data": "reference", **EVERY}},
        "encoders": {"dino": published | {"path": encoder}},
        "codebooks": {"km": published | {
            "path": import_file(golden, folder, "codebook", "km_tiny.npy"),
            "encoder": "dino", "layer": 3, "input_size": 224}},
        "autoencoders": {"vqgan": published | {"path": vqgan}},
        "tokens": {"semantic": {"views": "whole", "codebook": "km"},
                   "codes": {"views": "whole", "autoencoder": "vqgan"}},
        "stage1": {
            name: published | entry | {"path": import_file(
                golden, folder, "stage1", "stage2_vq.pt" if name == "vq" else f"stage1_{name}.pt")}
            for name, entry in stage1.items()
        },
        "stage2": {
            name: published | {"codebook": "km", "autoencoder": "vqgan", "decoder": decoder,
                               "path": import_file(golden, folder, "stage2", f"stage2_{name}.pt")}
            for name, decoder in stage2.items()
        },
        "samplings": {
            "uncond_ar": {"stage1": "uncond", "stage2": "ar", "count": 2, "semantic": GREEDY,
                          "codes": GREEDY},
            "cls_nar": {"stage1": "cls", "stage2": "nar", "count": 2, "semantic": GREEDY},
            "vq": {"stage1": "vq", "count": 2, "semantic": GREEDY},
        },
        "stabilities": {"noise": {"views": "whole", "codebooks": ["km"], "autoencoders": ["vqgan"],
                                  "levels": [20], "seeds": [0], "images": 2}},
        "probes": {"linear": {"stage1": ["uncond"], "tokens": "semantic", "steps": 2, "batch": 2}},
    }  # fmt: skip
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    environment = {k: v for k, v in os.environ.items() if k != guard.VARIABLE}
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2", "--snakefile", REPO / "Snakefile",
         "--configfile", "config.yaml"],
        cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return folder / "results"


def drawn(results: Path, name: str) -> dict[str, np.ndarray]:
    return read_part(results / "samplings" / name / "part-0000-of-0001.zarr.zip")[0]


def tokens(results: Path, name: str) -> np.ndarray:
    """The tokens of the reference images in their order, [N, L]."""
    part = results / "tokens" / name / "train" / "part-0000-of-0001.zarr.zip"
    arrays = read_part(part)[0]
    return arrays["codes"][np.argsort(arrays["label"]), 0]


def test_tokens_of_images(golden: Path, results: Path) -> None:
    """Through files, crops, encoder and centroids; and through the VQGAN."""
    with np.load(golden / "dino.npz") as stored:
        assert np.array_equal(tokens(results, "semantic"), stored["tokens256"])
    with np.load(golden / "vqgan.npz") as stored:
        codes = stored["codes"].reshape(len(stored["codes"]), -1)
        assert np.array_equal(tokens(results, "codes")[: len(codes)], codes)


@pytest.mark.parametrize(
    ("sampling", "model", "array"),
    [
        ("uncond_ar", "stage1_uncond", "semantic"),
        ("cls_nar", "stage1_cls", "semantic"),
        ("vq", "stage2_vq", "codes"),
    ],
)
def test_greedy_decodes(golden: Path, results: Path, sampling: str, model: str, array: str) -> None:
    """The first image: class 0, or no class."""
    with np.load(golden / f"{model}.npz") as stored:
        expected = stored["greedy_tokens"][0]
        if "cls_ids" in stored:
            assert stored["cls_ids"][0] == 0
    assert np.array_equal(drawn(results, sampling)[array][0], expected[:256])


def test_the_report_knows_published_models(results: Path) -> None:
    """They stand in the tables with their parameters, and no training is claimed."""
    probe = (results / "tables" / "linear_probe.csv").read_text()
    assert "uncond" in probe
    assert not (results / "tables" / "trainings.csv").exists()
    card = json.loads((results / "stage1" / "uncond" / "card.json").read_text())
    assert card["stage"] == "published"
    assert card["results"]["source"]["file"] == "stage1_uncond.pt"
