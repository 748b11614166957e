"""Filters and masked decoding against what the original DiGIT code computed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tessera.models.fairseq_names import config_from_fairseq, from_fairseq
from tessera.models.maskgit import MaskGIT, MaskGITConfig
from tessera.sampling.filters import code_log_probs, keep
from tessera.sampling.masked import (
    hidden_counts,
    hide_least_confident,
    noise_shape,
    sample_masked,
)

MASK_ID = 3


def arrays(golden: Path, name: str) -> dict[str, Tensor]:
    with np.load(golden / f"{name}.npz") as file:
        return {key: torch.from_numpy(np.asarray(file[key])) for key in file.files}


@pytest.mark.parametrize(
    ("key", "temperature", "top_k", "top_p"),
    [
        ("plain", 1.0, None, None),
        ("topk5", 1.0, 5, None),
        ("topk5_T07", 0.7, 5, None),
        ("topp08", 1.0, None, 0.8),
        ("topp08_T13", 1.3, None, 0.8),
        ("topp300", 1.0, None, 1.0),  # a p above 1 filters nothing
        ("topk10_topp05", 1.0, 10, 0.5),
    ],
)
def test_filters(
    golden: Path, key: str, temperature: float, top_k: int | None, top_p: float | None
) -> None:
    """The mass that is kept, and the probabilities that are drawn from."""
    z = arrays(golden, "sampling")
    mass = keep(code_log_probs(z["logits"], temperature), top_k, top_p).exp()
    expected = z[f"{key}_mass"]
    assert not expected[:, :5].any()
    assert torch.equal(mass > 0, expected[:, 5:] > 0)
    torch.testing.assert_close(mass, expected[:, 5:], atol=1e-6, rtol=1e-5)
    probs = mass / mass.sum(1, keepdim=True)
    torch.testing.assert_close(probs, z[f"{key}_probs"][:, 5:], atol=1e-6, rtol=1e-5)


@pytest.fixture
def masked(golden: Path) -> tuple[MaskGIT, dict[str, Tensor]]:
    """The masked model with the original's weights, and its vectors."""
    manifest: dict[str, Any] = json.loads((golden / "manifest.json").read_text())
    z = arrays(golden, "stage2_nar")
    state = torch.load(golden / "stage2_nar.pt", weights_only=True)["model"]
    sizes = config_from_fairseq(
        state,
        heads=manifest["models"]["stage2_nar"]["heads"],
        length=z["vq"].shape[1],
        prefix_length=z["sem"].shape[1],
    )
    model = MaskGIT(MaskGITConfig(**vars(sizes))).eval()
    model.load_state_dict(from_fairseq(state))
    return model, z


def test_schedule(golden: Path) -> None:
    """The number of hidden codes after each step."""
    z = arrays(golden, "stage2_nar")
    steps, _, length = z["argmax_tokens_per_step"].shape
    assert hidden_counts(length, steps) == z["mask_counts"].tolist()


def test_masked_decoding_by_argmax(masked: tuple[MaskGIT, dict[str, Tensor]]) -> None:
    """The whole loop with argmax draws and no Gumbel noise."""
    model, z = masked
    steps, batch, length = z["argmax_tokens_per_step"].shape
    u = torch.full((batch, *noise_shape(length, steps)), 0.5, dtype=torch.float64)
    codes = sample_masked(
        model, u, prefix=z["sem"], steps=steps, temperature=0.0, choice_temperature=0.0
    )
    assert torch.equal(codes, z["argmax_final"])
    assert torch.equal(codes, z["argmax_tokens_per_step"][-1] - 5)


def test_masked_decoding_with_recorded_draws(
    masked: tuple[MaskGIT, dict[str, Tensor]],
) -> None:
    """The engine, driven by uniforms that reproduce the recorded draws and Gumbel numbers.

    A draw becomes the middle of its code's interval in the cumulative distribution of the model,
    a Gumbel number g the uniform exp(-exp(-g)); both need the logits of the recorded path.
    """
    model, z = masked
    steps, batch, length = z["rec_tokens_per_step"].shape
    u = torch.full((batch, *noise_shape(length, steps)), 0.5, dtype=torch.float64)
    u[:, :-1, 1] = torch.exp(-torch.exp(-z["rec_gumbel_per_step"].double())).movedim(0, 1)
    ids = torch.full((batch, length), MASK_ID)
    for step in range(steps):
        hidden = ids == MASK_ID
        with torch.no_grad():
            log_probs = code_log_probs(model.logits((ids - 5).clamp(0), hidden, prefix=z["sem"]))
        probs = log_probs.double().softmax(-1)
        drawn = (z["rec_sampled_per_step"][step] - 5).clamp(0)[..., None]  # known ones unused
        u[:, step, 0] = (probs.cumsum(-1).gather(-1, drawn) - probs.gather(-1, drawn) / 2)[..., 0]
        ids = z["rec_tokens_per_step"][step]
    codes = sample_masked(model, u, prefix=z["sem"], steps=steps, choice_temperature=4.5)
    assert torch.equal(codes, z["rec_final"])


def test_choice_of_hidden_codes_at_every_step(
    masked: tuple[MaskGIT, dict[str, Tensor]],
) -> None:
    """From the recorded state before each step to that after it."""
    model, z = masked
    steps, batch, length = z["rec_tokens_per_step"].shape
    ids = torch.full((batch, length), MASK_ID)
    for step, count in enumerate(hidden_counts(length, steps)[:-1]):
        hidden = ids == MASK_ID
        with torch.no_grad():
            logits = model.logits((ids - 5).clamp(0), hidden, prefix=z["sem"])
        drawn = torch.where(hidden, z["rec_sampled_per_step"][step], ids)
        chosen = logits[..., 5:].log_softmax(-1).gather(-1, (drawn - 5)[..., None])[..., 0]
        noise = 4.5 * (1 - (step + 1) / steps) * z["rec_gumbel_per_step"][step]
        hidden = hide_least_confident(chosen, hidden, noise, count)
        ids = drawn.masked_fill(hidden, MASK_ID)
        assert torch.equal(ids, z["rec_tokens_per_step"][step])
