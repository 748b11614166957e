"""Stand-ins for ImageNet and for the published weights: the right files and shapes, no meaning.

A rehearsal of an ImageNet experiment runs on them, on any machine, before a cluster is asked for
(`make imagenet-shape`): the images have ImageNet's sizes and oddities, the weights the exact
formats of the published files, drawn at random.
"""

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn

from tessera.io.files import whole_file
from tessera.models.vit import DINOV2_SIZES, VisionTransformer
from tessera.models.vqgan import VQGAN, VQGANConfig

CLASSES = ("n01440764", "n01443537", "n01484850", "n01491361")
SIZES = ((500, 375), (375, 500), (500, 333), (400, 400), (640, 480), (231, 350), (1024, 768))
"""Width and height in pixels of the images, in turn; ImageNet's most frequent ones among them."""

DINOV2 = "dinov2_vitb14_reg4_pretrain.pth"
VQGAN_FILE = "vqgan_f16.ckpt"
INCEPTION = "weights-inception-2015-12-05-6726825d.pth"


def write_stand_ins(folder: Path, train: int = 48, validation: int = 16, seed: int = 0) -> None:
    """Writes `imagenet/train`, `imagenet/val` and three files of weights; what is there stays.

    Args:
        folder: where they go.
        train: training images, over four classes.
        validation: validation images.
        seed: seed of pixels and weights.
    """
    for split, count, offset in (("train", train, 0), ("val", validation, train)):
        for number in range(count):
            label = CLASSES[number % len(CLASSES)]
            path = folder / "imagenet" / split / label / f"{label}_{number}.JPEG"
            if not path.exists():
                with whole_file(path) as temporary:
                    temporary.write_bytes(image_file(seed, number + offset))
    makers = {DINOV2: dinov2_state, VQGAN_FILE: vqgan_state, INCEPTION: inception_state}
    for name, make in makers.items():
        if not (folder / name).exists():
            torch.manual_seed(seed)
            with whole_file(folder / name) as temporary:
                torch.save(make(), temporary)


def image_file(seed: int, number: int) -> bytes:
    """One image as a file: mostly JPEG, now and then as odd as ImageNet's oddest.

    Of every twelve images one is grey, one CMYK, one a PNG whatever its name says, and one 16
    pixels thin.
    """
    draw = np.random.Generator(np.random.PCG64([seed, number]))
    oddity = {3: "grey", 5: "cmyk", 7: "png", 9: "thin"}.get(number % 12)
    size = (16, 400) if oddity == "thin" else SIZES[number % len(SIZES)]
    image = _picture(draw, *size)
    if oddity == "grey":
        image = image.convert("L")
    elif oddity == "cmyk":
        image = image.convert("CMYK")
    buffer = io.BytesIO()
    image.save(buffer, format="PNG" if oddity == "png" else "JPEG", quality=90)
    return buffer.getvalue()


def _picture(draw: np.random.Generator, width: int, height: int) -> Image.Image:
    """Gradients, shapes and grain: no two patches alike, and no two images."""
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    waves = [np.sin(a * x + b * y + c) for a, b, c in draw.uniform(-12, 12, (3, 3))]
    pixels = 127 + 80 * np.stack(waves, axis=-1) + draw.normal(0, 12, (height, width, 3))
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for _ in range(12):
        (left, top), (w, h) = draw.uniform(0, (width, height)), draw.uniform(4, 160, 2)
        colour = tuple(int(value) for value in draw.integers(0, 256, 3))
        shape = pen.ellipse if draw.random() < 0.5 else pen.rectangle
        shape((left, top, left + w, top + h), fill=colour)
    return image


def dinov2_state() -> dict[str, Tensor]:
    """Random weights in the layout of Meta's file of ViT-B/14 with registers."""
    return VisionTransformer(DINOV2_SIZES["dinov2_base"]).state_dict()


def vqgan_state() -> dict[str, dict[str, Tensor]]:
    """Random weights in the layout of the VQGAN that MAGE published and DiGIT uses."""
    return {"state_dict": VQGAN(VQGANConfig()).state_dict()}


def inception_state() -> dict[str, Tensor]:
    """Random weights in the layout of torch-fidelity's file."""
    from torch_fidelity import FeatureExtractorInceptionV3

    class Blank(FeatureExtractorInceptionV3):
        def load_state_dict(self, *_: object, **__: object) -> None:
            """Keeps the weights that were drawn."""

    with tempfile.NamedTemporaryFile(suffix=".pth") as empty:
        torch.save({}, empty.name)
        network: nn.Module = Blank(
            "stand-in", ["2048"], feature_extractor_weights_path=empty.name, verbose=False
        )
    return dict(_scaled(network))


def _scaled(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Weights that keep the signal's size through nearly a hundred layers."""
    for name, value in network.state_dict().items():
        if value.ndim == 4:
            nn.init.kaiming_normal_(value)
        yield name, value
