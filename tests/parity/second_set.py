"""Writes a small set of vectors of other shapes than digit-golden's, computed by `oracle`.

Everything differs: images, patches, grids, heads, layers, widths, classes, codebooks, the number of
images, a VQGAN with two blocks a level and a change of channels, and no manifest.
"""

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tests.parity import oracle

IMAGES, SIDE, PATCH, GRID, TABLE = 3, 96, 6, 10, 13
VIT_WIDTH, VIT_HEADS, VIT_DEPTH, REGISTERS, CENTROIDS = 30, 5, 4, 2, 24
CHANNELS, LEVELS, BLOCKS, CODES, CODE_WIDTH = 32, (1, 2, 2, 1), 2, 20, 6
CLASSES, POSITIONS, STEPS = 7, 250, 6


class Draw:
    """Random weights under the original's names.

    Args:
        seed: of the generator.
    """

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.weights: dict[str, Tensor] = {}

    def __call__(self, name: str, *shape: int, around: float = 0.0, spread: float = 0.1) -> None:
        """Adds a tensor of normal numbers, rounded to float32."""
        drawn = around + spread * torch.randn(*shape, generator=self.generator)
        self.weights[name] = drawn

    def linear(self, name: str, inward: int, outward: int) -> None:
        """Adds a linear layer."""
        self(f"{name}.weight", outward, inward, spread=1.5 / math.sqrt(inward))
        self(f"{name}.bias", outward)

    def norm(self, name: str, width: int) -> None:
        """Adds a norm."""
        self(f"{name}.weight", width, around=1.0)
        self(f"{name}.bias", width)

    def conv(self, name: str, inward: int, outward: int, side: int, bias: bool = True) -> None:
        """Adds a convolution."""
        self(f"{name}.weight", outward, inward, side, side, spread=1 / math.sqrt(inward * side**2))
        if bias:
            self(f"{name}.bias", outward)


def vit() -> dict[str, Tensor]:
    """Weights of an encoder."""
    draw, width = Draw(1), VIT_WIDTH
    draw("cls_token", 1, 1, width)
    draw("pos_embed", 1, 1 + TABLE**2, width, spread=0.5)
    draw("register_tokens", 1, REGISTERS, width)
    draw("mask_token", 1, width)
    draw.conv("patch_embed.proj", 3, width, PATCH)
    for i in range(VIT_DEPTH):
        draw.norm(f"blocks.{i}.norm1", width)
        draw.linear(f"blocks.{i}.attn.qkv", width, 3 * width)
        draw.linear(f"blocks.{i}.attn.proj", width, width)
        draw(f"blocks.{i}.ls1.gamma", width, around=0.5)
        draw.norm(f"blocks.{i}.norm2", width)
        draw.linear(f"blocks.{i}.mlp.fc1", width, 2 * width)
        draw.linear(f"blocks.{i}.mlp.fc2", 2 * width, width)
        draw(f"blocks.{i}.ls2.gamma", width, around=0.5)
    draw.norm("norm", width)
    return draw.weights


def vqgan() -> dict[str, Tensor]:
    """Weights of a VQGAN."""
    draw, widths = Draw(2), [CHANNELS * factor for factor in LEVELS]

    def block(name: str, inward: int, outward: int) -> None:
        draw.norm(f"{name}.norm1", inward)
        draw.conv(f"{name}.conv1", inward, outward, 3, bias=False)
        draw.norm(f"{name}.norm2", outward)
        draw.conv(f"{name}.conv2", outward, outward, 3, bias=False)
        if inward != outward:
            draw.conv(f"{name}.nin_shortcut", outward, outward, 1, bias=False)

    draw.conv("encoder.conv_in", 3, CHANNELS, 3, bias=False)
    draw.conv("decoder.conv_in", CODE_WIDTH, widths[-1], 3)
    for level, width in enumerate(widths):
        before = widths[level - 1] if level else CHANNELS
        below = widths[min(level + 1, len(widths) - 1)]
        for i in range(BLOCKS):
            block(f"encoder.down.{level}.block.{i}", width if i else before, width)
            block(f"decoder.up.{level}.block.{i}", width if i else below, width)
        if level:
            draw.conv(f"decoder.up.{level}.upsample.conv", width, width, 3)
    for part, inward, outward, side in (
        ("encoder", widths[-1], CODE_WIDTH, 1),
        ("decoder", CHANNELS, 3, 3),
    ):
        for i in (1, 2):
            block(f"{part}.mid.block_{i}", widths[-1], widths[-1])
        draw.norm(f"{part}.norm_out", inward)
        draw.conv(f"{part}.conv_out", inward, outward, side)
    draw("quantize.embedding.weight", CODES, CODE_WIDTH, spread=1.0)
    return draw.weights


def transformer(
    seed: int, rows: int, symbols: int, width: int, ffn: int, layers: int, prefixed: bool
) -> dict[str, Tensor]:
    """Weights of a decoder; pre-norm with a prefix."""
    draw = Draw(seed)
    draw("decoder.version", 1)
    draw("decoder.embed_tokens.weight", rows, width, spread=width**-0.5)
    for table in ("embed_positions", "embed_positions_1")[: 1 + prefixed]:
        draw(f"decoder.{table}.weight", POSITIONS + 2, width, spread=0.7)
    for i in range(layers):
        name = f"decoder.layers.{i}"
        for part in ("k_proj", "v_proj", "q_proj", "out_proj"):
            draw.linear(f"{name}.self_attn.{part}", width, width)
        draw.norm(f"{name}.self_attn_layer_norm", width)
        draw.linear(f"{name}.fc1", width, ffn)
        draw.linear(f"{name}.fc2", ffn, width)
        draw.norm(f"{name}.final_layer_norm", width)
    if prefixed:
        draw.norm("decoder.layer_norm", width)
    draw("decoder.output_projection.weight", symbols, width, spread=1.5 * width**-0.5)
    return draw.weights


def doubled(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same weights in float64."""
    return {name: value.double() for name, value in weights.items()}


def save(path: Path, **arrays: Tensor | np.ndarray | float) -> None:
    """Writes an .npz file, floats in float32."""
    found = {key: np.asarray(value) for key, value in arrays.items()}
    np.savez(
        path,
        **{k: v.astype(np.float32) if v.dtype == np.float64 and v.ndim else v
           for k, v in found.items()},
    )  # fmt: skip


def write_decoder(
    folder: Path, name: str, weights: dict[str, Tensor], heads: int, start: Tensor, codes: Tensor,
    told: bool, **inputs: Tensor,
) -> None:  # fmt: skip
    """Writes an autoregressive model with its vectors; the heads only if `told`."""
    w, sem = doubled(weights), inputs.get("sem")
    prefix = None if sem is None else sem + (CODES + 5) + 5
    end = torch.full((len(codes), 1), 2)
    target = torch.cat([codes + 5, end], 1)
    ids = torch.cat([start, codes + 5], 1)
    states = oracle.decoder_states(w, ids, heads, prefix)
    before = 0 if prefix is None else prefix.shape[1]
    logits = oracle.decoder_logits(w, states)[:, before:]
    whole = ids if prefix is None else torch.cat([prefix, ids], 1)
    extra = {"src" if prefix is None else "input_ids": whole, **inputs}
    if name.startswith("stage1"):
        extra["hidden_mean"] = torch.stack([state.mean(1) for state in states])
    else:
        extra["vq"] = codes
    save(
        folder / f"{name}.npz", tgt=target, logits=logits,
        loss=oracle.loss(logits, target, 0.1), nll=oracle.loss(logits, target, 0.0),
        greedy_tokens=oracle.greedy(w, start, heads, codes.shape[1], prefix), **extra,
    )  # fmt: skip
    settings = {"cfg": {"model": {"decoder_attention_heads": heads}}} if told else {}
    torch.save({"args": None, **settings, "model": weights}, folder / f"{name}.pt")


def write(folder: Path) -> Path:
    """Writes the set and returns its folder."""
    folder.mkdir()
    generator = torch.Generator().manual_seed(0)
    small = torch.rand(IMAGES, 3, 24, 24, generator=generator)
    big = torch.nn.functional.interpolate(small, size=(SIDE, SIDE), mode="bilinear")
    pixels = (255 * big).to(torch.uint8)
    save(folder / "images.npz", imgs_u8=pixels)
    images = pixels.double() / 255

    weights = vit()
    torch.save(weights, folder / "dinov2_tiny.pth")
    first, size = (SIDE - GRID * PATCH) // 2, GRID * PATCH
    crops = images[:, :, first : first + size, first : first + size]
    found = {n: oracle.vit_features(doubled(weights), crops, VIT_HEADS, n) for n in (1, 2, 3)}
    points = found[3].flatten(0, 1)
    table = points[torch.randperm(len(points), generator=generator)[:CENTROIDS]].float() + 0.05
    np.save(folder / "km_tiny.npy", table.numpy())
    sem = oracle.nearest(found[3], table.double())
    save(
        folder / "dino.npz", feat224=found[3], tokens224=sem,
        feat224_n1_img0=found[1][:1], feat224_n2_img0=found[2][:1],
    )  # fmt: skip

    weights = vqgan()
    torch.save(weights, folder / "vqgan.ckpt")  # the plain form, without `state_dict`
    latents = oracle.vqgan_latents(doubled(weights), images, BLOCKS)
    codes = oracle.nearest(latents.permute(0, 2, 3, 1).flatten(1, 2),
                           doubled(weights)["quantize.embedding.weight"])  # fmt: skip
    made = oracle.vqgan_pixels(doubled(weights), codes, BLOCKS)
    part = slice((SIDE - 40) // 2, (SIDE + 40) // 2)
    save(
        folder / "vqgan.npz", enc_h=latents, codes=codes, dec_strided=made[:, :, ::3, ::3],
        dec_crop=made[:, :, part, part],
        dec_u8_crop=(255 * made.float()).clamp(0, 255).byte().permute(0, 2, 3, 1)[:, part, part],
    )  # fmt: skip

    stop = torch.full((IMAGES, 1), 2)
    rows = CENTROIDS + 5
    labels = torch.tensor([6, 0, 3])
    write_decoder(
        folder, "stage1_cls", transformer(3, rows + CLASSES, rows, 28, 50, 2, False), 7,
        rows + labels[:, None], sem, True, cls_ids=labels,
    )  # fmt: skip
    write_decoder(
        folder, "stage1_uncond", transformer(4, rows, rows, 20, 40, 3, False), 2, stop, sem, False
    )
    joint = (CODES + 5) + (CENTROIDS + 5)
    write_decoder(
        folder, "stage2_ar", transformer(5, joint, CODES + 5, 24, 36, 1, True), 3, stop, codes,
        True, sem=sem,
    )  # fmt: skip

    weights = transformer(6, joint, CODES + 5, 16, 30, 2, True)
    torch.save({"cfg": {"model": {"decoder_attention_heads": 4}}, "model": weights},
               folder / "stage2_nar.pt")  # fmt: skip
    prefix, w = sem + (CODES + 5) + 5, doubled(weights)
    hidden = torch.rand(codes.shape, generator=generator) < 0.6
    ids = torch.cat([stop, (codes + 5).masked_fill(hidden, 3)], 1)
    states = oracle.decoder_states(w, ids, 4, prefix, causal=False)
    logits = oracle.decoder_logits(w, states)[:, prefix.shape[1] :]
    after, counts = oracle.masked_argmax(w, prefix, 4, codes.shape[1], STEPS)
    chosen, wanted = logits[:, 1:][hidden][None], (codes + 5)[hidden][None]
    save(
        folder / "stage2_nar.npz", sem=sem, vq=codes, input_ids=torch.cat([prefix, ids], 1),
        tgt=torch.cat([stop, codes + 5], 1), logits=logits,
        loss=oracle.loss(chosen, wanted, 0.1), nll=oracle.loss(chosen, wanted, 0.0),
        argmax_tokens_per_step=after, argmax_final=after[-1] - 5, mask_counts=np.array(counts),
    )  # fmt: skip
    return folder
