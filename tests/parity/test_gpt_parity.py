"""The transformers against what the original DiGIT code computed with the same weights.

Tolerances: the original's float32 is itself 5e-6 to 8e-6 from float64 on logits; 1e-4 leaves room
for other kernels. Greedy codes are exact: the vectors were made with safe margins.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tessera.models.fairseq_names import config_from_fairseq, from_fairseq
from tessera.models.gpt import GPT
from tessera.models.maskgit import MaskGIT, MaskGITConfig
from tessera.nn.loss import symbol_cross_entropy
from tessera.sampling.autoregressive import sample_autoregressive

LOGITS = {"atol": 1e-4, "rtol": 0}
LOSS = {"abs": 1e-5}
AUTOREGRESSIVE = ["stage1_uncond", "stage1_cls", "stage2_ar", "stage2_vq"]


@cache
def manifest(golden: Path) -> dict[str, Any]:
    return json.loads((golden / "manifest.json").read_text())


def arrays(golden: Path, name: str) -> dict[str, Tensor]:
    with np.load(golden / f"{name}.npz") as file:
        return {key: torch.from_numpy(np.asarray(file[key])) for key in file.files}


@cache
def load(golden: Path, name: str) -> tuple[GPT, dict[str, Tensor], Tensor, dict[str, Tensor]]:
    """The model, its vectors, the codes, and the labels or prefix."""
    z = arrays(golden, name)
    state = torch.load(golden / f"{name}.pt", weights_only=True)["model"]
    config = config_from_fairseq(
        state,
        heads=manifest(golden)["models"][name]["heads"],
        length=z["tgt"].shape[1] - 1,
        prefix_length=z["sem"].shape[1] if "sem" in z else 0,
    )
    model = GPT(config).eval()
    model.load_state_dict(from_fairseq(state))
    extra = {"labels": z.get("cls_ids"), "prefix": z.get("sem")}
    return model, z, z["tgt"][:, :-1] - 5, {k: v for k, v in extra.items() if v is not None}


@pytest.mark.parametrize("name", [*AUTOREGRESSIVE, "stage2_nar"])
def test_parameter_count(golden: Path, name: str) -> None:
    """As many parameters as the original decoder has, after reading all sizes off the weights."""
    state = torch.load(golden / f"{name}.pt", weights_only=True)["model"]
    heads = manifest(golden)["models"][name]["heads"]
    prefix = 1 if "decoder.embed_positions_1.weight" in state else 0
    model = GPT(config_from_fairseq(state, heads=heads, length=1, prefix_length=prefix))
    expected = manifest(golden)["reference_checkpoint_keys"][name]["n_params_decoder"]
    assert sum(p.numel() for p in model.parameters()) == expected


@pytest.mark.parametrize("name", AUTOREGRESSIVE)
@torch.no_grad()
def test_logits(golden: Path, name: str) -> None:
    """Teacher-forced logits of every position."""
    model, z, codes, extra = load(golden, name)
    torch.testing.assert_close(model.logits(codes, **extra), z["logits"], **LOGITS)


@pytest.mark.parametrize("name", AUTOREGRESSIVE)
@torch.no_grad()
def test_loss(golden: Path, name: str) -> None:
    """The training loss with the smoothing of the recipe, and the plain likelihood."""
    model, z, codes, extra = load(golden, name)
    smoothing = manifest(golden)["stage1_uncond"]["label_smoothing"]
    loss = model.loss(codes, label_smoothing=smoothing, **extra)
    assert float(loss) == pytest.approx(float(z["loss"]), **LOSS)
    assert float(model.loss(codes, **extra)) == pytest.approx(float(z["nll"]), **LOSS)


@pytest.mark.parametrize("name", AUTOREGRESSIVE)
def test_greedy_codes(golden: Path, name: str) -> None:
    """Cached greedy decoding gives the original's codes, without the end symbol."""
    model, z, codes, extra = load(golden, name)
    drawn = sample_autoregressive(
        model, torch.full(codes.shape, 0.5, dtype=torch.float64), temperature=0.0, **extra
    )
    assert torch.equal(drawn, z["greedy_tokens"])


@pytest.mark.parametrize("name", ["stage1_uncond", "stage1_cls"])
@torch.no_grad()
def test_hidden_states(golden: Path, name: str) -> None:
    """The features that the linear probe reads."""
    model, z, codes, extra = load(golden, name)
    states = model.hidden_states(codes, **extra)
    torch.testing.assert_close(states, z["hidden_mean"], **LOGITS)


@torch.no_grad()
def test_prefix_logits(golden: Path) -> None:
    """The positions of the prefix, which nothing else reads, agree too."""
    model, z, codes, extra = load(golden, "stage2_ar")
    x = model.embed(torch.cat((model.start(len(codes), None), model.ids(codes)), 1), **extra)
    logits = model.project(model.transform(x, causal=True))[:, : extra["prefix"].shape[1] : 16]
    torch.testing.assert_close(logits, z["logits_prefix_every16"], **LOGITS)


@torch.no_grad()
def test_norm_eps(golden: Path) -> None:
    """An embedding scaled by 1e-3 makes the layer norm's eps visible in the logits."""
    model, _, codes, _ = load(golden, "stage2_vq")
    expected = arrays(golden, "eps_probes")["stage2_vq_logits_img0"]
    x = model.embed(torch.cat((model.start(1, None), model.ids(codes[:1])), 1))
    stride = -(-x.shape[1] // expected.shape[1])
    logits = model.project(model.transform(1e-3 * x, causal=True))[:, ::stride]
    torch.testing.assert_close(logits, expected, **LOGITS)


def test_first_gradient(golden: Path) -> None:
    """The gradient of the first update, whole and in parts, with q taken from the fused layer."""
    model, _, codes, _ = load(golden, "stage1_uncond")
    trace = arrays(golden, "train_trace")
    smoothing = manifest(golden)["train_trace"]["label_smoothing"]
    gradients = dict(
        zip(
            [name for name, _ in model.named_parameters()],
            torch.autograd.grad(
                model.loss(codes, label_smoothing=smoothing), list(model.parameters())
            ),
            strict=True,
        )
    )
    total = torch.stack([g.double().square().sum() for g in gradients.values()]).sum().sqrt()
    assert float(total) == pytest.approx(float(trace["grad0_total_norm"]), rel=1e-5)
    parts = {
        "layers.0.self_attn.q_proj.bias": gradients["layers.0.attention.qkv.bias"],
        "layers.0.fc1.bias": gradients["layers.0.feed_forward.up.bias"],
        "embed_tokens.weight[:12]": gradients["tokens.weight"],
    }
    for name, gradient in parts.items():
        expected = trace[f"grad0/decoder.{name}"]
        torch.testing.assert_close(gradient[: len(expected)], expected, atol=1e-5, rtol=1e-4)


@cache
def load_masked(golden: Path) -> tuple[MaskGIT, dict[str, Tensor], Tensor]:
    """The masked model, its vectors, and what is hidden in them."""
    z = arrays(golden, "stage2_nar")
    state = torch.load(golden / "stage2_nar.pt", weights_only=True)["model"]
    heads = manifest(golden)["models"]["stage2_nar"]["heads"]
    length, prefix_length = z["vq"].shape[1], z["sem"].shape[1]
    sizes = config_from_fairseq(state, heads=heads, length=length, prefix_length=prefix_length)
    model = MaskGIT(MaskGITConfig(**vars(sizes))).eval()
    model.load_state_dict(from_fairseq(state))
    return model, z, z["input_ids"][:, -length:] == 3


@torch.no_grad()
def test_masked_logits(golden: Path) -> None:
    """Full attention over the prefix and the partly hidden codes; the prefix's logits too."""
    model, z, hidden = load_masked(golden)
    logits = model.logits(z["vq"], hidden, prefix=z["sem"])
    torch.testing.assert_close(logits, z["logits"][:, 1:], **LOGITS)
    ids = z["input_ids"][:, z["sem"].shape[1] :]
    x = model.transform(model.embed(ids, z["sem"]), causal=False)
    every = model.project(x)
    torch.testing.assert_close(every[:, z["sem"].shape[1] :], z["logits"], **LOGITS)
    part = every[:, : z["sem"].shape[1] : 16]
    torch.testing.assert_close(part, z["logits_prefix_every16"], **LOGITS)


@torch.no_grad()
def test_masked_loss(golden: Path) -> None:
    """The loss over the hidden positions, unshifted."""
    model, z, hidden = load_masked(golden)
    assert hidden.sum(1).tolist() == manifest(golden)["stage2_nar"]["n_masked"]
    smoothing = manifest(golden)["stage2_nar"]["label_smoothing"]
    loss = model.loss(z["vq"], None, z["sem"], smoothing, hidden)
    assert float(loss) == pytest.approx(float(z["loss"]), **LOSS)
    plain = model.loss(z["vq"], None, z["sem"], 0.0, hidden)
    assert float(plain) == pytest.approx(float(z["nll"]), **LOSS)


@pytest.mark.parametrize(
    ("key", "smoothing", "masked"),
    [
        ("masked_ls01", 0.1, True),
        ("masked_ls0", 0.0, True),
        ("masked_ls03", 0.3, True),
        ("all_ls01", 0.1, False),
    ],
)
def test_criterion(golden: Path, key: str, smoothing: float, masked: bool) -> None:
    """The original's loss on logits of its own, with and without a mask."""
    z = arrays(golden, "criterion")
    selected = z["mask"] if masked else None
    loss = symbol_cross_entropy(z["logits"], z["tgt"], smoothing, selected)
    assert float(loss) == pytest.approx(float(z[key]), **LOSS)
    if f"{key}_nll" in z:
        plain = symbol_cross_entropy(z["logits"], z["tgt"], 0.0, selected)
        assert float(plain) == pytest.approx(float(z[f"{key}_nll"]), **LOSS)


def test_criterion_of_a_classifier(golden: Path) -> None:
    """One prediction an image, as the linear probe's: the vectors use the first position."""
    z = arrays(golden, "criterion")
    loss = symbol_cross_entropy(z["logits"][:, 0], z["tgt"][:, 0])
    assert float(loss) == pytest.approx(float(z["unmasked2d_ls0"]), **LOSS)
