"""Codes all at once, the unsure ones hidden and drawn again over a few steps.

Chang et al., "MaskGIT" (arXiv:2202.04200), section 3.2, with the schedule of DiGIT
(arXiv:2410.12490): cosine, confidence perturbed by Gumbel noise that fades out linearly.
"""

import math

import torch
from torch import Tensor

from tessera.errors import UserError
from tessera.models.maskgit import MaskGIT
from tessera.sampling.checks import check_engine_inputs
from tessera.sampling.filters import check_filters, code_log_probs, pick


def hidden_counts(length: int, steps: int) -> list[int]:
    """Codes of an image that are hidden after each step.

    After step s (from 1) of S: floor(L cos(pi s / 2S)), but at least 1 and fewer than before; 0
    after the last. With S > L some steps hide the single last code again and change nothing else.

    Raises:
        UserError: If there is no step.
    """
    if steps < 1:
        raise UserError(f"The number of masked-decoding steps is {steps}; give at least 1.")
    counts, hidden = [], length
    for step in range(1, steps):
        scheduled = math.floor(length * math.cos(math.pi * step / (2 * steps)))
        hidden = max(1, min(hidden - 1, scheduled))
        counts.append(hidden)
    return [*counts, 0]


def noise_shape(length: int, steps: int) -> tuple[int, int, int]:
    """Shape of the uniforms that one image needs: for each step, L draws and L Gumbel numbers."""
    return (steps, 2, length)


def gumbel(uniforms: Tensor) -> Tensor:
    """Standard Gumbel numbers from uniforms in (0, 1)."""
    return -(-uniforms.log()).log()


def hide_least_confident(
    log_probs: Tensor, hidden: Tensor, noise: Tensor | float, count: int
) -> Tensor:
    """Choose what is drawn again.

    Args:
        log_probs: [B, L], of the codes just drawn, among all codes.
        hidden: Bool [B, L], what was hidden in this step; the rest is settled and stays.
        noise: [B, L] or a number, added to the log-probabilities.
        count: Codes to hide in each image, at most the fewest hidden now.

    Returns:
        Bool [B, L], exactly ``count`` True a row, all of them within ``hidden``.
    """
    confidence = (log_probs + noise).masked_fill(~hidden, math.inf)
    least = confidence.topk(count, dim=1, largest=False).indices  # [B, count]
    return torch.zeros_like(hidden).scatter(1, least, True)


def sample_masked(
    model: MaskGIT,
    uniforms: Tensor,
    labels: Tensor | None = None,
    prefix: Tensor | None = None,
    *,
    steps: int = 8,
    temperature: float = 1.0,
    choice_temperature: float = 4.5,
) -> Tensor:
    """Sample the codes of images from a masked model.

    Args:
        model: In eval mode.
        uniforms: [B, steps, 2, L], in (0, 1) (:func:`noise_shape`): for each step those that draw
            codes and those that make the Gumbel noise; moved to the model's device.
        labels: Long [B], for a class-conditional model.
        prefix: Long [B, P], for a model with a prefix.
        steps: Passes over the image, at least 1.
        temperature: Divides the logits for the draws; 0 takes the most probable code. Confidence
            is always measured at 1.
        choice_temperature: Size of the Gumbel noise on the confidence; times 1 - s/steps after
            step s.

    Returns:
        Long [B, L] on the model's device, in 0..vocabulary-1; nothing is left hidden.

    Raises:
        UserError: If a setting has no meaning, or a shape does not fit the model.
    """
    check_filters(temperature, None, None)
    if not (math.isfinite(choice_temperature) and choice_temperature >= 0):
        raise UserError(
            f"The choice temperature is {choice_temperature}; give 0 or a positive number."
        )
    batch, length = uniforms.shape[0], model.config.length
    counts = hidden_counts(length, steps)
    check_engine_inputs(model, uniforms, noise_shape(length, steps))
    uniforms = uniforms.to(model.output.weight.device)
    with torch.inference_mode():
        codes = torch.zeros(batch, length, dtype=torch.long, device=uniforms.device)
        hidden = torch.ones_like(codes, dtype=torch.bool)
        for step, count in enumerate(counts):
            logits = model.logits(codes, hidden, labels, prefix)  # [B, L, V]
            drawn = pick(logits, uniforms[:, step, 0].contiguous(), temperature)
            codes = torch.where(hidden, drawn, codes)
            if count:
                # Among the codes alone, so that the weight on special symbols does not count.
                log_probs = code_log_probs(logits).log_softmax(-1)
                chosen = log_probs.gather(-1, codes[..., None])[..., 0]
                size = choice_temperature * (1 - (step + 1) / steps)
                hidden = hide_least_confident(
                    chosen, hidden, size * gumbel(uniforms[:, step, 1]), count
                )
    return codes.clone()  # outside of inference mode, so that a model can train on what was drawn
