"""Plain forms of what the original does, to compare with on the same machine.

After the facts of its code (fairseq): separate layers for query, key and value, attention with a
mask, dropout drawn one number after the other, logits that exist whole, AdamW tensor by tensor.
"""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tessera.models.gpt import GPTConfig
from tessera.models.vit import VisionTransformer

Made = TypeVar("Made")

DROPOUT, SMOOTHING = 0.1, 0.1


class OriginalBlock(nn.Module):
    """A post-norm block of fairseq's transformer."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        width, self.heads = config.width, config.heads
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, config.ffn), nn.Linear(config.ffn, width)
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """[B, T, D] and the causal mask [T, T] to [B, T, D]."""
        B, T, D = x.shape
        q, k, v = (
            layer(x).view(B, T, self.heads, -1).transpose(1, 2)
            for layer in (self.q, self.k, self.v)
        )
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask.to(q.dtype))
        y = self.out(y.transpose(1, 2).reshape(B, T, D))
        x = self.first(x + F.dropout(y, DROPOUT, self.training))
        return self.second(x + F.dropout(self.down(F.gelu(self.up(x))), DROPOUT, self.training))


class OriginalGPT(nn.Module):
    """The original's decoder over tokens; forward gives its loss."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.tokens = nn.Embedding(config.symbols, config.width)
        self.positions = nn.Embedding(config.length + 1, config.width)
        self.layers = nn.ModuleList(OriginalBlock(config) for _ in range(config.layers))
        self.output = nn.Linear(config.width, config.symbols, bias=False)
        for layer in (self.tokens, self.positions, self.output):
            nn.init.normal_(layer.weight, std=config.width**-0.5)

    def forward(self, codes: Tensor) -> Tensor:
        """Mean smoothed cross-entropy of codes [B, L] and the end symbol."""
        ids = F.pad(codes + 5, (1, 0), value=2)
        T = ids.shape[1]
        at = torch.arange(T, device=ids.device)
        mask = torch.full((T, T), -torch.inf, device=ids.device).triu(1)
        x = self.tokens(ids) * self.tokens.embedding_dim**0.5 + self.positions(at)
        x = F.dropout(x, DROPOUT, self.training)
        for layer in self.layers:
            x = layer(x, mask)
        log_p = self.output(x).float().log_softmax(-1)
        targets = F.pad(codes + 5, (0, 1), value=2)
        nll = -log_p.gather(-1, targets[..., None]).sum()
        uniform = -log_p.sum() / log_p.shape[-1]
        return ((1 - SMOOTHING) * nll + SMOOTHING * uniform) / targets.numel()


class OriginalStep:
    """One update of it."""

    def __init__(self, model: OriginalGPT, autocast: torch.dtype | None) -> None:
        self.model, self.autocast = model, autocast
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, foreach=False)

    def __call__(self, codes: Tensor) -> Tensor:
        """The loss before the update on codes [B, L]."""
        self.optimizer.zero_grad()
        with torch.autocast(codes.device.type, self.autocast, enabled=self.autocast is not None):
            loss: Tensor = self.model(codes)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0, foreach=False)
        self.optimizer.step()
        return loss.detach()


@torch.no_grad()
def tokenize(
    encoder: VisionTransformer, centroids: Tensor, images: Tensor, autocast: torch.dtype | None
) -> Tensor:
    """Codes [B, L] of images [B, 3, H, W]: nearest centroids [K, d] of the encoder's features."""
    with torch.autocast(images.device.type, autocast, enabled=autocast is not None):
        features = encoder.features(images)
    return torch.cdist(features.flatten(0, 1).float(), centroids).argmin(-1).view(len(images), -1)


def as_torch_comes(work: Callable[[], Made]) -> Callable[[], Made]:
    """The same without what tessera asks of torch for the same bits each time."""

    def plainly() -> Made:
        before = torch.get_deterministic_debug_mode()
        torch.set_deterministic_debug_mode("default")
        try:
            return work()
        finally:
            torch.set_deterministic_debug_mode(before)

    return plainly
