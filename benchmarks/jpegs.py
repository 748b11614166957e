"""Synthetic photographs in the project's shards, and how fast all cores decode them at best."""

import io
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import chain
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.harness import Figure
from benchmarks.limits import sustained
from tessera.data.decoding import batches
from tessera.data.records import Record, held
from tessera.data.shards import pack, read_shard

WIDTH, HEIGHT, QUALITY = 500, 375, 90
"""As a usual photograph of ImageNet."""
SIDE = 224
CHUNK = 16
"""Images a task of `decode_limit`."""
START_SECONDS = 120
"""Most that its processes may take to start: each imports what the benchmark imports, torch too."""
# The settings' own class needs pydantic, which a machine that only computes may lack.
VIEWS: Any = SimpleNamespace(
    resize=SIDE, crop=SIDE, filter="bicubic", random_crop=False, resized_crop=False, flip=False,
    count=1, seed=0, side=lambda split: SIDE,
)  # fmt: skip


def photograph(seed: int) -> bytes:
    """A JPEG file of noise whose strength falls with its frequency, as in photographs."""
    draw = np.random.default_rng(seed)
    total = draw.normal(0, 4, (HEIGHT, WIDTH, 3))
    for size in (2, 4, 8, 16, 32, 64, 128):
        coarse = draw.normal(0, size**0.35, (HEIGHT // size + 2, WIDTH // size + 2, 3))
        for channel in range(3):
            plane = Image.fromarray(coarse[..., channel].astype(np.float32))
            resized = plane.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
            total[..., channel] += np.asarray(resized)
    pixels = np.clip(total * (50 / total.std()) + 120, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def write_shard(path: Path, count: int, different: int = 64) -> None:
    """Packs `count` images, of which so many are different, into one shard."""
    drawn = [photograph(seed) for seed in range(min(count, different))]
    items: Any = [
        SimpleNamespace(name=str(i), label=0, read=held(drawn[i % len(drawn)]))
        for i in range(count)
    ]
    pack(items, [path], 1, None, 0.0)


def records(path: Path, times: int = 1) -> Iterator[Record]:
    """The images of a shard, read so many times."""
    for number, data, label in chain.from_iterable(read_shard(path) for _ in range(times)):
        yield Record(number, label, f"{path}, image {number}", held(data))


def files(path: Path) -> list[bytes]:
    """The JPEG files of a shard."""
    return [record.read() for record in records(path)]


@cache
def _held(path: Path) -> Sequence[Record]:
    return list(records(path))


def _decode(path: Path, first: int) -> int:
    """Decodes and cuts some images of a shard that is in memory; returns how many."""
    some = _held(path)[first : first + CHUNK]
    return sum(len(made.numbers) for made in batches(some, "validation", VIEWS, CHUNK))


def decode_limit(path: Path, cores: int, rounds: int = 3) -> float:
    """Images a second that processes, one a core, decode and cut from memory.

    Processes, since threads share Python's lock: it would slow the limit as it slows what is
    measured against it.
    """
    starts = range(0, len(_held(path)), CHUNK)
    with _decoders(path, cores) as pool:

        def rate() -> float:
            start = time.perf_counter()
            tasks = [pool.submit(_decode, path, first) for first in starts for _ in range(cores)]
            return sum(task.result() for task in tasks) / (time.perf_counter() - start)

        return max(rate() for _ in range(rounds))


@contextmanager
def _decoders(path: Path, cores: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that all have started and read the shard: none imports while others are timed."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores, context, _begin, (path, context.Barrier(cores))) as pool:
        for task in [pool.submit(int) for _ in range(cores)]:  # each starts a process
            task.result()
        yield pool


def _begin(path: Path, started: Barrier) -> None:
    _held(path)
    started.wait(START_SECONDS)


def nvjpeg(shard: Path, device: str, decoding: float, left: list[str]) -> list[Figure]:
    """How fast the GPU decodes the files; its pixels differ a little, so no stage does it."""
    tensors = [torch.frombuffer(bytearray(data), dtype=torch.uint8) for data in files(shard)]
    try:
        from torchvision.io import ImageReadMode, decode_jpeg

        seconds = sustained(lambda: decode_jpeg(tensors, ImageReadMode.RGB, device=device), device)
    except (ImportError, RuntimeError) as error:
        left.append(f"nvJPEG: {error}")
        return []
    return [
        Figure(
            name="nvJPEG, without resizing", value=len(tensors) / seconds, unit="images/s",
            against="Pillow on all cores, with resizing", other=decoding,
        )
    ]  # fmt: skip
