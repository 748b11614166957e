"""The formulas of the original, written out over dicts of weights in its own names, in float64.

Shares no code with the project; slow and without caches.
"""

import math
import re

import torch
import torch.nn.functional as F
from torch import Tensor

Weights = dict[str, Tensor]


def attention(q: Tensor, k: Tensor, v: Tensor, heads: int, causal: bool) -> Tensor:
    """Multi-head attention of [B, N, D], by its definition."""
    q, k, v = (x.unflatten(2, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])
    if causal:
        scores = scores.masked_fill(torch.ones(scores.shape[2:]).triu(1).bool(), -math.inf)
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


def norm(w: Weights, name: str, x: Tensor, eps: float) -> Tensor:
    """Layer norm over the last axis."""
    return F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], eps)


def linear(w: Weights, name: str, x: Tensor) -> Tensor:
    """A linear layer."""
    return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])


def depth(w: Weights, pattern: str) -> int:
    """Layers whose names match."""
    return len({found[1] for name in w if (found := re.match(pattern, name))})


def vit_features(w: Weights, images: Tensor, heads: int, last: int) -> Tensor:
    """Patch features of the `last`-th block from the end; images [B, 3, S, S] in [0, 1]."""
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).double()
    x = (images - mean[:, None, None]) / std[:, None, None]
    patch = w["patch_embed.proj.weight"].shape[2]
    x = F.conv2d(x, w["patch_embed.proj.weight"], w["patch_embed.proj.bias"], stride=patch)
    grid = x.shape[2]
    table = w["pos_embed"]
    side = round((table.shape[1] - 1) ** 0.5)
    patches = table[:, 1:].transpose(1, 2).unflatten(2, (side, side))
    patches = F.interpolate(patches, scale_factor=(grid + 0.1) / side, mode="bicubic")
    x = x.flatten(2).transpose(1, 2) + patches.flatten(2).transpose(1, 2)
    count, registers = len(x), w["register_tokens"].shape[1]
    first = (w["cls_token"] + table[:, :1]).expand(count, -1, -1)
    x = torch.cat([first, w["register_tokens"].expand(count, -1, -1), x], 1)
    for i in range(depth(w, r"blocks\.(\d+)\.") - last + 1):
        name = f"blocks.{i}"
        q, k, v = linear(w, f"{name}.attn.qkv", norm(w, f"{name}.norm1", x, 1e-6)).chunk(3, -1)
        mixed = linear(w, f"{name}.attn.proj", attention(q, k, v, heads, causal=False))
        x = x + w[f"{name}.ls1.gamma"] * mixed
        hidden = F.gelu(linear(w, f"{name}.mlp.fc1", norm(w, f"{name}.norm2", x, 1e-6)))
        x = x + w[f"{name}.ls2.gamma"] * linear(w, f"{name}.mlp.fc2", hidden)
    return norm(w, "norm", x, 1e-6)[:, 1 + registers :]


def residual(w: Weights, name: str, x: Tensor) -> Tensor:
    """A block of the VQGAN, whose shortcut reads the block's own output."""
    h = x
    for i in (1, 2):
        scale, shift = w[f"{name}.norm{i}.weight"], w[f"{name}.norm{i}.bias"]
        h = F.silu(F.group_norm(h, 32, scale, shift, 1e-6))
        h = F.conv2d(h, w[f"{name}.conv{i}.weight"], padding=1)
    shortcut = w.get(f"{name}.nin_shortcut.weight")
    return h + (x if shortcut is None else F.conv2d(h, shortcut))


def last_layers(w: Weights, part: str, x: Tensor, padding: int) -> Tensor:
    """Norm, swish and the last convolution."""
    x = F.group_norm(x, 32, w[f"{part}.norm_out.weight"], w[f"{part}.norm_out.bias"], 1e-6)
    return F.conv2d(
        F.silu(x), w[f"{part}.conv_out.weight"], w[f"{part}.conv_out.bias"], padding=padding
    )


def vqgan_latents(w: Weights, images: Tensor, blocks: int) -> Tensor:
    """Latents [B, Z, h, w]."""
    x = F.conv2d(images, w["encoder.conv_in.weight"], padding=1)
    for level in range(depth(w, r"encoder\.down\.(\d+)\.")):
        x = F.avg_pool2d(x, 2) if level else x
        for block in range(blocks):
            x = residual(w, f"encoder.down.{level}.block.{block}", x)
    for block in (1, 2):
        x = residual(w, f"encoder.mid.block_{block}", x)
    return last_layers(w, "encoder", x, 0)


def vqgan_pixels(w: Weights, codes: Tensor, blocks: int) -> Tensor:
    """Pixels of codes [B, T]."""
    side = round(codes.shape[1] ** 0.5)
    x = w["quantize.embedding.weight"][codes].transpose(1, 2).unflatten(2, (side, side))
    x = F.conv2d(x, w["decoder.conv_in.weight"], w["decoder.conv_in.bias"], padding=1)
    for block in (1, 2):
        x = residual(w, f"decoder.mid.block_{block}", x)
    for level in reversed(range(depth(w, r"decoder\.up\.(\d+)\."))):
        for block in range(blocks):
            x = residual(w, f"decoder.up.{level}.block.{block}", x)
        if level:
            x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
            name = f"decoder.up.{level}.upsample.conv"
            x = F.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], padding=1)
    return last_layers(w, "decoder", x, 1)


def nearest(points: Tensor, table: Tensor) -> Tensor:
    """The nearest row of a table for each point [..., D]."""
    return (points[..., None, :] - table).square().sum(-1).argmin(-1)


def decoder_states(
    w: Weights, ids: Tensor, heads: int, prefix: Tensor | None = None, causal: bool = True
) -> list[Tensor]:
    """The embedding and the output of every layer, [B, P + T, D] each."""
    width = w["decoder.embed_tokens.weight"].shape[1]

    def embed(ids: Tensor, table: str) -> Tensor:
        places = w[f"decoder.{table}.weight"][2 : 2 + ids.shape[1]]
        return math.sqrt(width) * w["decoder.embed_tokens.weight"][ids] + places

    x = embed(ids, "embed_positions")
    if prefix is not None:
        x = torch.cat([embed(prefix, "embed_positions_1"), x], 1)
    before = "decoder.layer_norm.weight" in w
    states = [x]
    for i in range(depth(w, r"decoder\.layers\.(\d+)\.")):
        name = f"decoder.layers.{i}"
        first, second = f"{name}.self_attn_layer_norm", f"{name}.final_layer_norm"
        y = norm(w, first, x, 1e-5) if before else x
        q, k, v = (linear(w, f"{name}.self_attn.{part}_proj", y) for part in "qkv")
        x = x + linear(w, f"{name}.self_attn.out_proj", attention(q, k, v, heads, causal))
        x = x if before else norm(w, first, x, 1e-5)
        y = norm(w, second, x, 1e-5) if before else x
        x = x + linear(w, f"{name}.fc2", F.gelu(linear(w, f"{name}.fc1", y)))
        x = x if before else norm(w, second, x, 1e-5)
        states.append(x)
    return states


def decoder_logits(w: Weights, states: list[Tensor]) -> Tensor:
    """Logits of the last layer's output."""
    x = states[-1]
    if "decoder.layer_norm.weight" in w:
        x = norm(w, "decoder.layer_norm", x, 1e-5)
    return x @ w["decoder.output_projection.weight"].T


def greedy(w: Weights, start: Tensor, heads: int, length: int, prefix: Tensor | None) -> Tensor:
    """The most probable codes one after the other, all states computed anew for each."""
    ids = start
    for _ in range(length):
        logits = decoder_logits(w, decoder_states(w, ids, heads, prefix))[:, -1]
        ids = torch.cat([ids, 5 + logits[:, 5:].argmax(-1, keepdim=True)], 1)
    return ids[:, 1:] - 5


def loss(logits: Tensor, target: Tensor, smoothing: float) -> float:
    """Mean over tokens of the smoothed negative log-likelihood."""
    log_probs = logits - logits.exp().sum(-1, keepdim=True).log()
    own = log_probs.gather(-1, target[..., None])
    return float(-(1 - smoothing) * own.mean() - smoothing * log_probs.mean())


def masked_argmax(
    w: Weights, prefix: Tensor, heads: int, length: int, steps: int
) -> tuple[Tensor, list[int]]:
    """Ids after each step of masked decoding without noise [S, B, L], and the counts hidden."""
    ids, counts, after = torch.full((len(prefix), length), 3), [], []
    start = torch.full((len(prefix), 1), 2)
    for step in range(steps):
        x = decoder_states(w, torch.cat([start, ids], 1), heads, prefix, causal=False)
        logits = decoder_logits(w, x)[:, prefix.shape[1] + 1 :, 5:]
        unknown = ids == 3
        best = logits.log_softmax(-1).max(-1)
        ids = torch.where(unknown, best.indices + 5, ids)
        if step < steps - 1:
            scheduled = math.floor(length * math.cos(math.pi * (step + 1) / steps / 2))
            count = max(1, min(int(unknown[0].sum()) - 1, scheduled))
            confidence = best.values.masked_fill(~unknown, math.inf)
            cut = confidence.sort(1).values[:, count - 1 : count]
            ids = ids.masked_fill(confidence <= cut, 3)
        counts.append(int((ids[0] == 3).sum()))
        after.append(ids)
    return torch.stack(after), counts
