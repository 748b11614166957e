"""Tokens and sampled features of DINOv2-B at 224 from JPEG shards, against decoding and encoder."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks import jpegs
from benchmarks.harness import Figure, Report, Timing, main, time_side_by_side
from benchmarks.limits import matrix_rate
from tessera.data.decoding import batches
from tessera.data.pixels import decode
from tessera.data.views import cut_views
from tessera.models.encoders import preprocess
from tessera.models.vit import DINOV2_SIZES, VisionTransformer, ViTConfig
from tessera.stages.featurizing import (
    Featurizer,
    codebook_tokenizer,
    image_by_image,
    products_in_bfloat16,
    unit,
)
from tessera.stages.streaming import Replayed, fetched, upload

CLUSTERS = 8192
KEPT = 2
"""Tokens that the features stage keeps of an image: 2.1 million points of ImageNet are 1.6."""


@dataclass(frozen=True)
class Sizes:
    """What is run.

    Attributes:
        model: the encoder.
        stored: images in the shard.
        passes: how often the shard is read in one run.
        batch: images at once.
        alone: images that are done one by one, as the original does.
        repeats: timed runs.
    """

    model: ViTConfig
    stored: int
    passes: int
    batch: int
    alone: int
    repeats: int

    @property
    def images(self) -> int:
        """Images of a run."""
        return self.stored * self.passes


SMALL = Sizes(DINOV2_SIZES["dinov2_base"], 16, 1, 8, 4, 3)
FULL = Sizes(DINOV2_SIZES["dinov2_base"], 512, 8, 256, 64, 3)


def encoder_flops(config: ViTConfig, side: int) -> float:
    """Floating-point operations of one image, two a multiplication with its sum."""
    patches, width = (side // config.patch_size) ** 2, config.width
    tokens = 1 + config.registers + patches
    weights = (4 + 2 * config.mlp_ratio) * width**2  # of a block's four matrices
    mixing = 2 * tokens * width  # of a token: its scores, and what they weigh
    embedding = patches * width * 3 * config.patch_size**2
    return 2.0 * (config.depth * tokens * (weights + mixing) + embedding)


def assignment_flops(config: ViTConfig, side: int) -> float:
    """Those of the distances of one image's patches to all centroids."""
    return 2.0 * (side // config.patch_size) ** 2 * config.width * CLUSTERS


def measure(device: str, full: bool) -> Report:
    """Tokens and sampled features of DINOv2-B at 224 from JPEG shards."""
    sizes = FULL if full else SMALL
    cores = len(os.sched_getaffinity(0))
    gpu = torch.device(device).type == "cuda"
    torch.manual_seed(0)
    figures: list[Figure] = []
    left: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        shard = Path(folder) / "images.tar"
        jpegs.write_shard(shard, sizes.stored)
        limit = jpegs.decode_limit(shard, cores)
        for name in ("float32", "bfloat16") if gpu else ("float32",):
            model = VisionTransformer(sizes.model).eval().requires_grad_(False).to(device)
            works = make_works(model, shard, sizes, device, name == "bfloat16", cores)
            timings = time_side_by_side(works, device, sizes.repeats)
            figures += compared(timings, sizes, name, None if gpu else 0.9)
            figures += limited(timings, sizes, device, name, limit, 0.7 if gpu else None)
        if gpu:
            figures += jpegs.nvjpeg(shard, device, limit, left)
        else:
            left.append("bfloat16 and nvJPEG: for a GPU")
        stored = sum(map(len, jpegs.files(shard))) / sizes.stored
    described = {
        "images": sizes.images, "batch": sizes.batch, "clusters": CLUSTERS, "jpeg_bytes": stored,
        "encoder_gflop": encoder_flops(sizes.model, jpegs.SIDE) / 1e9,
    }  # fmt: skip
    return Report(benchmark="features", sizes=described, figures=figures, left_out=left)


def make_works(
    model: VisionTransformer, shard: Path, sizes: Sizes, device: str,
    bfloat16: bool, workers: int,
) -> dict[str, Callable[[], object]]:  # fmt: skip
    """What is timed: the bare forward, both stages' pipelines, and the original's way."""
    crop = (sizes.batch, 3, jpegs.SIDE, jpegs.SIDE)
    centroids = torch.randn(CLUSTERS, model.width, device=device)
    inputs = torch.randn(crop, device=device)  # as normalised pixels
    original = VisionTransformer(model.config).eval().requires_grad_(False).to(device)
    original.load_state_dict(model.state_dict())
    if bfloat16:
        products_in_bfloat16(model)
    featurizer = Featurizer(model, device, bfloat16=bfloat16)
    tokenizer = codebook_tokenizer(featurizer, centroids)
    tokens = Replayed(lambda images: tokenizer(images)[0], crop)
    features = Replayed(featurizer, crop)

    @torch.inference_mode()
    def forward(images: Tensor) -> Tensor:
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=bfloat16):
            return model.features(images)

    def plain() -> None:
        for _ in range(sizes.images // sizes.batch):
            forward(inputs)

    def bare() -> None:
        for _ in range(sizes.images // sizes.batch):
            image_by_image(forward, inputs)

    def pixels() -> Iterator[np.ndarray]:
        some = jpegs.records(shard, sizes.passes)
        for images in batches(some, "validation", jpegs.VIEWS, sizes.batch, workers):
            yield images.pixels[:, 0]

    def tokenize() -> list[np.ndarray]:
        return [made.astype(np.uint16) for made in
                fetched(tokens(upload(some, device)) for some in pixels())]  # fmt: skip

    def sample() -> list[np.ndarray]:
        chosen = (features(upload(some, device))[:, :KEPT] for some in pixels())
        return [made.astype(np.float16) for made in fetched(chosen)]

    @torch.inference_mode()
    def alone() -> None:
        for place, data in enumerate(jpegs.files(shard)[: sizes.alone]):
            view = cut_views(decode(data), 0, jpegs.VIEWS, "validation")
            image = preprocess(unit(torch.from_numpy(view).to(device)), model.mean, model.std)
            np.save(shard.with_name(f"{place}.npy"), original.features(image).cpu().numpy())

    works: dict[str, Callable[[], object]] = {
        "bare": bare, "tokens": tokenize, "features": sample, "alone": alone,
    }  # fmt: skip
    if torch.device(device).type == "cpu":  # on a GPU it is the bare one
        works["plain"] = plain
    return works


def compared(
    timings: dict[str, Timing], sizes: Sizes, precision: str, target: float | None
) -> list[Figure]:
    """Both pipelines against the fastest bare forward, and tokens against the original's way."""
    bare = sizes.images / timings["bare"].median
    patches = (jpegs.SIDE // sizes.model.patch_size) ** 2
    alone, rate = sizes.alone / timings["alone"].median, timings["tokens"]
    return [
        *(
            Figure(
                name=f"{name} from shards, {precision}", unit="images/s", other=bare,
                against="the encoder's forward alone, on pixels in memory", target=target,
                **timings[name].of(sizes.images),
            )
            for name in ("tokens", "features")
        ),
        Figure(
            name=f"tokens against features image by image, {precision}", unit="images/s",
            against="one image at a time in float32, features dumped, as the original does",
            other=alone, **rate.of(sizes.images),
        ),
        Figure(
            name=f"tokens on disk, {precision}", unit="bytes an image", value=2 * patches,
            against="the original's features in float32", other=4 * patches * sizes.model.width,
        ),
    ]  # fmt: skip


def limited(
    timings: dict[str, Timing], sizes: Sizes, device: str, name: str, decoding: float,
    target: float | None,
) -> list[Figure]:  # fmt: skip
    """Both against the smaller of the limits, and the bare forward against the matrix rate."""
    rate, exact = (matrix_rate(dtype, device) for dtype in (getattr(torch, name), torch.float32))
    seconds = encoder_flops(sizes.model, jpegs.SIDE) / rate
    assigning = assignment_flops(sizes.model, jpegs.SIDE) / exact
    products = {"tokens": 1 / (seconds + assigning), "features": 1 / seconds}
    encoders = {"bare": f"encoder alone, {name}", "plain": f"encoder, threads in a product, {name}"}
    return [
        *(
            Figure(
                name=f"{made} from shards, {name}, limit", unit="images/s", target=target,
                against="the smaller of decoding on all cores and products at the matrix rate",
                other=min(decoding, most), **timings[made].of(sizes.images),
                note=f"decoding {decoding:.4g}, products {most:.4g} images/s",
            )
            for made, most in products.items()
        ),
        *(
            Figure(
                name=called, unit="images/s", against="its products, matrix rate",
                other=1 / seconds, **timings[work].of(sizes.images),
            )
            for work, called in encoders.items() if work in timings
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(measure))
