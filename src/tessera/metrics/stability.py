"""Stability of tokens under pixel noise (DiGIT, arXiv:2410.12490, Table 1).

White Gaussian noise is added to an image's pixels and the image is tokenised again: which share of
the tokens changed, and how far did the embeddings turn? The paper gives the levels but not the
details, so they are fixed here:
- the signal power is the mean square of the image's own pixels in [0, 1], the mean not removed;
- the noise of each image is scaled to its exact power, so the realised SNR is the nominal one;
- nothing is clipped to [0, 1] by default: at 5 dB and below clipping would remove a good part of
  the noise, and more of it for images with much black or white.

Shapes: N images, B batch, T tokens, d embedding width.
"""

import struct
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tessera.errors import UserError

Tokenizer = Callable[[Tensor], tuple[Tensor, Tensor]]


def add_noise(images: Tensor, snr_db: float, noise: Tensor, clip: bool = False) -> Tensor:
    """Adds noise of a given strength: SNR_dB = 10 log10(P_signal / P_noise), image by image.

    Args:
        images: [B, C, H, W], floats in [0, 1].
        snr_db: signal-to-noise ratio in decibels; any real number.
        noise: standard normal noise of the same shape, rescaled to the exact power.
        clip: whether to clamp the result to [0, 1]; lowers the noise power, raises the SNR.

    Returns:
        Noisy images [B, C, H, W]; outside [0, 1] in places unless clipped. An image of zeros has
        no power and gets no noise.
    """
    axes = (1, 2, 3)
    signal_power = images.square().mean(axes, keepdim=True)  # [B, 1, 1, 1]
    drawn_power = noise.square().mean(axes, keepdim=True)
    scale = (signal_power / drawn_power).sqrt() * 10 ** (-snr_db / 20)
    noisy = images + scale * noise
    return noisy.clamp(0, 1) if clip else noisy


def normal_noise(
    seed: int, snr_db: float, image_ids: Sequence[int], shape: Sequence[int]
) -> Tensor:
    """Standard normal noise [len(image_ids), *shape], float32, on the CPU.

    The noise of image i depends on (seed, level, i) alone (Philox, a counter-based generator), so
    batches, the order of the images and the other levels change nothing.
    """
    level = int.from_bytes(struct.pack("<d", snr_db), "little")  # the exact double as an integer
    drawn = [
        np.random.Generator(
            np.random.Philox(np.random.SeedSequence([seed, level, image]))
        ).standard_normal(tuple(shape), dtype=np.float32)
        for image in image_ids
    ]
    return torch.from_numpy(np.stack(drawn))


def changed_share(tokens_before: Tensor, tokens_after: Tensor) -> Tensor:
    """Share of tokens that differ, of each image: [B, T] twice to [B] in [0, 1]."""
    if tokens_before.shape != tokens_after.shape:
        raise ValueError(f"shapes differ: {tokens_before.shape}, {tokens_after.shape}")
    return (tokens_before != tokens_after).flatten(1).float().mean(1)


def cosine_similarity(before: Tensor, after: Tensor) -> Tensor:
    """Cosine of each token's embeddings, averaged over an image: [B, T, d] twice to [B]."""
    if before.shape != after.shape:
        raise ValueError(f"shapes differ: {before.shape}, {after.shape}")
    return F.cosine_similarity(before.float(), after.float(), dim=-1).mean(1)


@torch.no_grad()
def measure_stability(
    images: Tensor,
    levels: Sequence[float],
    seeds: Sequence[int],
    tokenizers: Mapping[str, Tokenizer],
    batch: int = 64,
    clip: bool = False,
) -> list[dict[str, float | int | str]]:
    """Stability of each tokenizer at each noise level.

    Args:
        images: [N, C, H, W], uint8 or floats in [0, 1], on the tokenizers' device.
        levels: signal-to-noise ratios in dB.
        seeds: noise seeds; each image is measured once for every seed.
        tokenizers: name to a function from float images [B, C, H, W] (beyond [0, 1] where noise
            takes them there) to (tokens [B, T], embeddings [B, T, d]); all see the same noise.
        batch: images at a time.
        clip: whether noisy images are clamped to [0, 1].

    Returns:
        One row for each tokenizer and level, in that order: `tokenizer`, `snr_db`, `images`,
        `seeds`, and mean and sample standard deviation (n - 1) over images and seeds of the two
        measures: `changed_mean`, `changed_std`, `cosine_mean`, `cosine_std`. A single image under
        a single seed has a deviation of 0.

    Raises:
        UserError: there are no images, levels, seeds or tokenizers.
    """
    for count, what in (
        (len(images), "image"),
        (len(levels), "noise level"),
        (len(seeds), "noise seed"),
        (len(tokenizers), "tokenizer"),
    ):
        if count == 0:
            raise UserError(f"stability needs at least one {what}: add one to its settings")
    measured: dict[tuple[str, float], list[tuple[Tensor, Tensor]]] = {
        (name, level): [] for name in tokenizers for level in levels
    }
    for start in range(0, len(images), batch):
        clean = _unit_floats(images[start : start + batch])
        ids = range(start, start + len(clean))
        before = {name: tokenize(clean) for name, tokenize in tokenizers.items()}
        for level in levels:
            for seed in seeds:
                noise = normal_noise(seed, level, ids, clean.shape[1:]).to(clean.device)
                noisy = add_noise(clean, level, noise, clip)
                for name, tokenize in tokenizers.items():
                    tokens, embeddings = tokenize(noisy)
                    changed = changed_share(before[name][0], tokens)
                    cosine = cosine_similarity(before[name][1], embeddings)
                    measured[name, level].append((changed.cpu(), cosine.cpu()))
    rows: list[dict[str, float | int | str]] = []
    for (name, level), parts in measured.items():
        changed = torch.cat([part[0] for part in parts]).double()
        cosine = torch.cat([part[1] for part in parts]).double()
        rows.append(
            {
                "tokenizer": name,
                "snr_db": float(level),
                "images": len(images),
                "seeds": len(seeds),
                "changed_mean": changed.mean().item(),
                "changed_std": _deviation(changed),
                "cosine_mean": cosine.mean().item(),
                "cosine_std": _deviation(cosine),
            }
        )
    return rows


def _deviation(values: Tensor) -> float:
    return values.std().item() if len(values) > 1 else 0.0


def _unit_floats(images: Tensor) -> Tensor:
    """Bytes to floats in [0, 1]; floats as they are."""
    return images.float() / 255 if images.dtype == torch.uint8 else images
