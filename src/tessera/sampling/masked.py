"""Codes all at once, the unsure ones hidden and drawn again over a few steps.

Chang et al., "MaskGIT" (arXiv:2202.04200), section 3.2, with the schedule of DiGIT
(arXiv:2410.12490): cosine, confidence perturbed by Gumbel noise that fades out linearly.

Every step runs the transformer over prefix and codes anew: attention is full, so keys and values of
the prefix depend on the codes from the second layer on and cannot be cached. Logits are made of the
hidden codes alone (70 % of all over 8 steps), which are equally many in each image, so that shapes
are known without asking the device.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor

from tessera.errors import UserError
from tessera.models.maskgit import MaskGIT
from tessera.nn.transfer import sent
from tessera.sampling.checks import check_engine_inputs
from tessera.sampling.filters import check_filters, code_log_probs, pick

ROWS = 4096
"""Positions whose logits exist at once: of 1,029 symbols with all that a draw makes, 150 MB."""


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


def places_of(hidden: Tensor, count: int) -> Tensor:
    """The places of the True, ascending: long [B, count] of bool [B, L] with `count` a row."""
    return (~hidden).byte().argsort(dim=1, stable=True)[:, :count]


def draw_codes(
    model: MaskGIT, states: Tensor, uniforms: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """Draw the codes of some positions, `ROWS` at a time.

    Args:
        model: Whose output layer makes the logits.
        states: [N, D], the residual stream after the last block.
        uniforms: [N], in (0, 1).
        temperature: Divides the logits for the draws; 0 takes the most probable code.

    Returns:
        The codes, long [N], and their log-probabilities at temperature 1, float32 [N].
    """
    codes, log_probs = [], []
    for x, u in zip(states.split(ROWS), uniforms.split(ROWS), strict=True):
        logits = model.project(x)  # [ROWS, V]
        drawn = pick(logits, u, temperature)
        codes.append(drawn)
        # Among the codes alone, so that the weight on special symbols does not count.
        among = code_log_probs(logits).log_softmax(-1)
        log_probs.append(among.gather(-1, drawn[:, None])[:, 0])
    return torch.cat(codes), torch.cat(log_probs)


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
    uniforms = sent(uniforms, model.output.weight.device)
    with torch.inference_mode():
        codes = torch.zeros(batch, length, dtype=torch.long, device=uniforms.device)
        hidden = torch.ones_like(codes, dtype=torch.bool)
        for step, (before, count) in enumerate(pairwise([length, *counts])):
            states = model.code_states(codes, hidden, labels, prefix)  # [B, L, D]
            places = places_of(hidden, before)  # [B, hidden]
            rows = states.take_along_dim(places[..., None], 1).flatten(0, 1)
            u = uniforms[:, step, 0].gather(1, places).flatten()
            drawn, log_probs = draw_codes(model, rows, u, temperature)
            codes = codes.scatter(1, places, drawn.view_as(places))
            if count:
                log_probs = log_probs.new_zeros(codes.shape).scatter(
                    1, places, log_probs.view_as(places)
                )
                size = choice_temperature * (1 - (step + 1) / steps)
                noise = size * gumbel(uniforms[:, step, 1])
                hidden = hide_least_confident(log_probs, hidden, noise, count)
    return codes.clone()  # outside of inference mode, so that a model can train on what was drawn
