"""What grows in `benchmarks.growth`: works over tokens, batch, clusters and images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tessera.models.gpt import GPT, GPTConfig
from tessera.models.vqgan import VQGAN, VQGANConfig
from tessera.quantize.assign import nearest
from tessera.quantize.kmeans import fit_kmeans
from tessera.sampling.autoregressive import sample_autoregressive

Work = Callable[[], object]
VOCABULARY = 1024


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One work at several sizes.

    Attributes:
        name: the work and what grows, "training over tokens".
        unit: what the sizes count.
        points: the sizes, increasing.
        work: size → a work for `time_side_by_side`.
        operations: size → floating-point operations, up to a factor.
        memory: the exponent of the memory, and why.
    """

    name: str
    unit: str
    points: Sequence[int]
    work: Callable[[int], Work]
    operations: Callable[[int], float]
    memory: tuple[float, str]


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Sizes of the works; a test takes tiny ones."""

    model: dict[str, int]
    tokens: Sequence[int]
    drawn: Sequence[int]
    batches: Sequence[int]
    drawn_batches: Sequence[int]
    length: int
    batch: int
    points: int
    width: int
    clusters: Sequence[int]
    images: Sequence[int]
    painter: VQGANConfig


PROCESSOR = Sizes(
    model={"width": 256, "layers": 4, "heads": 4, "ffn": 1024},
    tokens=(32, 64, 128, 256, 512, 1024),
    drawn=(32, 64, 128, 256, 512),
    batches=(4, 8, 16, 32, 64),
    drawn_batches=(8, 16, 32, 64, 128),
    length=64,
    batch=4,
    points=16384,
    width=256,
    clusters=(128, 256, 512, 1024, 2048),
    images=(64, 128, 256, 512),
    painter=VQGANConfig(resolution=32, channels=32, multipliers=(1, 2, 2), code_width=64),
)
GPU = Sizes(
    model={"width": 1024, "layers": 8, "heads": 16, "ffn": 4096},
    tokens=(64, 128, 256, 512, 1024),
    drawn=(32, 64, 128, 256, 512),
    batches=(16, 32, 64, 128, 256),
    drawn_batches=(64, 128, 256, 512, 1024),
    length=128,
    batch=64,
    points=2**19,
    width=768,
    clusters=(1024, 2048, 4096, 8192),
    images=(256, 512, 1024, 2048),
    painter=VQGANConfig(resolution=256),
)


def axes(sizes: Sizes, device: str) -> list[Axis]:
    """All works that are measured."""
    shape = sizes.model
    painter = VQGAN(sizes.painter).to(device).eval()
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(sizes.points, sizes.width, generator=generator)
    host, there = points.numpy(), points.to(device)

    def per_image(length: int) -> float:
        """Operations of a forward pass over the codes of one image."""
        block = 4 * shape["width"] ** 2 + 2 * shape["width"] * shape["ffn"]
        weights = shape["layers"] * block + shape["width"] * VOCABULARY
        return 2.0 * length * weights + 4.0 * length**2 * shape["width"] * shape["layers"]

    def cluster(count: int) -> Work:
        return lambda: fit_kmeans(host, count, iterations=2, device=device)

    def assign(count: int) -> Work:
        centroids = there[:count]
        return lambda: nearest(there, centroids)

    def paint(count: int) -> Work:
        codes = torch.randint(painter.config.codes, (count, painter.config.grid**2)).to(device)
        return lambda: [piece.cpu() for piece in in_pieces(painter, codes, sizes.images[0] // 2)]

    return [
        Axis(
            name="training over tokens", unit="tokens an image", points=sizes.tokens,
            work=lambda n: training(shape, n, sizes.batch, device), operations=per_image,
            memory=(1.0, "activations; attention keeps no scores"),
        ),
        Axis(
            name="training over batch", unit="images", points=sizes.batches,
            work=lambda n: training(shape, sizes.length, n, device), operations=float,
            memory=(1.0, "activations"),
        ),
        Axis(
            name="sampling over tokens", unit="tokens an image", points=sizes.drawn,
            work=lambda n: sampling(shape, n, sizes.batch, device), operations=per_image,
            memory=(1.0, "the cache of keys and values"),
        ),
        Axis(
            name="sampling over batch", unit="images", points=sizes.drawn_batches,
            work=lambda n: sampling(shape, sizes.length, n, device), operations=float,
            memory=(1.0, "the cache of keys and values"),
        ),
        Axis(
            name="K-Means over clusters", unit="clusters", points=sizes.clusters,
            work=cluster, operations=float, memory=(1.0, "centroids; scores of a block at most"),
        ),
        Axis(
            name="tokens over clusters", unit="clusters", points=sizes.clusters,
            work=assign, operations=float, memory=(1.0, "scores of a block at most"),
        ),
        Axis(
            name="decoding over images", unit="images", points=sizes.images,
            work=paint, operations=float, memory=(1.0, "the pixels; a batch has a fixed size"),
        ),
    ]  # fmt: skip


def in_pieces(painter: VQGAN, codes: torch.Tensor, batch: int) -> Any:
    """The pixels of codes, batch by batch."""
    with torch.inference_mode():
        for piece in codes.split(batch):
            yield painter.decode_codes(piece)


def gpt(shape: dict[str, int], length: int, device: str) -> GPT:
    """A model without dropout, in bfloat16 on a GPU."""
    config = GPTConfig(
        vocabulary=VOCABULARY, length=length, dropout=0.0, norm="pre",
        max_positions=length + 1, **shape,
    )  # fmt: skip
    dtype = torch.bfloat16 if torch.device(device).type == "cuda" else torch.float32
    return GPT(config).to(device, dtype)


def training(shape: dict[str, int], length: int, batch: int, device: str) -> Work:
    """A forward and a backward pass."""
    model = gpt(shape, length, device)
    codes = torch.randint(VOCABULARY, (batch, length), device=device)

    def work() -> None:
        model.zero_grad(set_to_none=False)
        model.loss(codes).backward()

    return work


def sampling(shape: dict[str, int], length: int, batch: int, device: str) -> Work:
    """Codes of a batch of images."""
    model = gpt(shape, length, device).eval()
    uniforms = torch.rand(batch, length)
    return lambda: sample_autoregressive(model, uniforms, top_k=100)
