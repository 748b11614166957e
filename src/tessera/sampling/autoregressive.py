"""Codes one after the other, with a KV cache."""

import torch
from torch import Tensor

from tessera.models.gpt import GPT
from tessera.sampling.checks import check_engine_inputs, compute_dtype
from tessera.sampling.filters import check_filters, pick


def sample_autoregressive(
    model: GPT,
    uniforms: Tensor,
    labels: Tensor | None = None,
    prefix: Tensor | None = None,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Tensor:
    """Sample the codes of images from an autoregressive model.

    The end symbol is not drawn: every image has all its codes. Nothing in the loop waits for the
    device.

    Args:
        model: In eval mode.
        uniforms: [B, L], in (0, 1), one for each code; moved to the model's device.
        labels: Long [B], for a class-conditional model.
        prefix: Long [B, P], for a model with a prefix.
        temperature: Divides the logits; 0 takes the most probable code.
        top_k: Keep only the k most probable codes.
        top_p: Keep only the most probable codes up to this mass, in (0, 1]; wins over ``top_k``.

    Returns:
        Long [B, L] on the model's device, in 0..vocabulary-1.

    Raises:
        UserError: If a setting has no meaning, or a shape does not fit the model.
    """
    check_filters(temperature, top_k, top_p)
    batch, length = uniforms.shape[0], model.config.length
    check_engine_inputs(model, uniforms, (length,))
    weight = model.output.weight
    uniforms = uniforms.to(weight.device).T.contiguous()  # [L, B]: each step reads one row
    with torch.inference_mode():
        cache = model.new_cache(batch, compute_dtype(weight), weight.device)
        logits = model.prefill(cache, labels, prefix)  # [B, V]
        drawn = [pick(logits, uniforms[0], temperature, top_k, top_p)]
        for position in range(length - 1):
            logits = model.decode(drawn[position], position, cache)
            drawn.append(pick(logits, uniforms[position + 1], temperature, top_k, top_p))
        codes = torch.stack(drawn, dim=1)
    return codes.clone()  # outside of inference mode, so that a model can train on what was drawn
