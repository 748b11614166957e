"""The comparison itself: it fails where something is wrong, and reads all sizes from the folder."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import tessera.models.vit
import tessera.models.vqgan
import tessera.nn.feed_forward
from tessera.train import task as task_module
from tests.parity.reference_set import ReferenceSet
from tests.parity.registry import Result, judge, quantities
from tests.parity.run import main, results


def copied(golden: Path, folder: Path) -> Path:
    """A copy of a set that can be changed."""
    shutil.copytree(golden, folder, copy_function=shutil.copyfile)
    folder.chmod(0o755)
    return folder


def compare(folder: Path, *words: str) -> dict[str, Result]:
    """Results of the quantities whose names or needs hold one of these words; all without any."""
    reference = ReferenceSet(folder)
    chosen = [
        quantity
        for quantity in quantities(reference)
        if not words or any(word in " ".join([quantity.name, *quantity.needs]) for word in words)
    ]
    assert chosen
    return {quantity.name: judge(reference, quantity) for quantity in chosen}


def failed(found: dict[str, Result]) -> list[str]:
    return [name for name, result in found.items() if result.passed is False]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "tensor", "noticed"),
    [
        ("dinov2_tiny.pth", "blocks.0.mlp.fc2.bias", "encoder features (feat256)"),
        ("vqgan.ckpt", "decoder.conv_in.weight", "VQGAN pixels (dec_strided)"),
        ("vqgan.ckpt", "encoder.conv_out.bias", "VQGAN latents (enc_h)"),
        ("stage1_uncond.pt", "decoder.layers.0.fc2.bias", "stage1_uncond logits (logits)"),
        ("stage1_uncond.pt", "centroids", "stage1_uncond centroids"),
        (
            "stage1_cls.pt",
            "decoder.embed_positions.weight",
            "stage1_cls hidden states (hidden_mean)",
        ),
        ("stage2_ar.pt", "decoder.embed_positions_1.weight", "stage2_ar logits (logits)"),
        ("stage2_nar.pt", "decoder.layer_norm.bias", "stage2_nar logits (logits)"),
        ("stage2_vq.pt", "decoder.output_projection.weight", "stage2_vq loss (loss)"),
    ],
)
def test_a_broken_tensor_is_noticed(golden, tmp_path, file, tensor, noticed):
    """One of 1e-2 added to one tensor of one file fails its own lines, and no other model's."""
    folder = copied(golden, tmp_path / "set")
    content = torch.load(folder / file, weights_only=True)
    state = next((content[key] for key in ("model", "state_dict") if key in content), content)
    state[tensor] += 0.01 * torch.randn(state[tensor].shape, generator=torch.manual_seed(0))
    torch.save(content, folder / file)
    found = compare(folder, file, "stage2_vq.pt" if file != "stage2_vq.pt" else "stage1_cls.pt")
    assert not found[noticed].passed
    other = "stage2_vq" if file != "stage2_vq.pt" else "stage1_cls"
    if file.startswith("stage"):
        assert not [name for name in failed(found) if name.startswith(other)]


def no_shortcut(self: tessera.models.vqgan.ResidualBlock, x: torch.Tensor) -> torch.Tensor:
    """The first VQGAN's block, which keeps its input, where the widths agree; else h alone."""
    h = self.conv1(torch.nn.functional.silu(self.norm1(x)))
    h = self.conv2(torch.nn.functional.silu(self.norm2(h)))
    return x + h if x.shape == h.shape else h


FACTS: list[tuple[str, Callable[[pytest.MonkeyPatch], None], str]] = [
    (
        "the offset of the ViT's position scale",
        lambda patch: patch.setattr(tessera.models.vit, "POSITION_OFFSET", 0.0),
        "encoder features (feat256)",
    ),
    (
        "the shortcut of the VQGAN",
        lambda patch: patch.setattr(tessera.models.vqgan.ResidualBlock, "forward", no_shortcut),
        "VQGAN latents (enc_h)",
    ),
    (
        "fairseq's place of Adam's eps",
        lambda patch: patch.setattr(
            task_module,
            "set_update",
            lambda optimizer, step, rate: optimizer.param_groups[0].update(lr=rate),
        ),
        "training weights (end/decoder.embed_positions.weight[:6])",
    ),
    (
        "clipping",
        lambda patch: patch.setattr(
            torch.nn.utils, "clip_grad_norm_",
            lambda parameters, most: torch.tensor(0.0),
        ),
        "training weights (end/decoder.layers.0.fc1.bias)",
    ),
    (
        "the exact gelu",
        lambda patch: patch.setattr(
            torch.nn.functional, "gelu",
            lambda x, approximate="none", gelu=torch.nn.functional.gelu: gelu(
                x, approximate="tanh"
            ),
        ),
        "stage1_cls logits (logits)",
    ),
    (
        "the first position",
        lambda patch: patch.setattr("tessera.models.decoder._FIRST_POSITION", 1),
        "stage2_vq logits (logits)",
    ),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "noticed"), [row[1:] for row in FACTS], ids=[r[0] for r in FACTS]
)
def test_a_broken_fact_is_noticed(golden, monkeypatch, change, noticed):
    """Without one fact of the original, the quantity that stands for it fails."""
    assert compare(golden, noticed)[noticed].passed
    change(monkeypatch)
    assert compare(golden, noticed)[noticed].passed is False


def test_a_crash_is_a_failure_with_a_reason(golden, tmp_path, capsys):
    """A damaged file and one that carries code fail their own lines; the rest goes on."""
    folder = copied(golden, tmp_path / "set")
    for path in folder.iterdir():
        if path.name not in ("kmeans.npz", "stage2_vq.npz", "criterion.npz", "dinov2_tiny.pth"):
            path.unlink()
    (folder / "kmeans.npz").write_bytes(b"no archive")
    (folder / "stage2_vq.pt").write_bytes(b"cposix\nsystem\n(S'touch executed'\ntR.")
    assert main([str(folder)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("FAIL    K-Means assignment") for line in lines)
    assert any("FAIL    stage2_vq logits" in line and "posix.system" in line for line in lines)
    assert any(line.startswith("absent  VQGAN codes (codes): (vqgan.npz") for line in lines)
    assert any(line.startswith("ok      criterion (all_ls01)") for line in lines)
    assert " failed, " in lines[-1]
    assert not Path("executed").exists()


def test_no_folder(tmp_path, capsys):
    """An error of its own, with the usage."""
    assert main([str(tmp_path / "none")]) == 2
    assert main([]) == 2
    assert "python -m tests.parity.run FOLDER" in capsys.readouterr().out


def test_an_empty_folder_has_nothing_to_fail(tmp_path):
    """All is absent, and nothing crashes."""
    assert {result.passed for result in results(ReferenceSet(tmp_path))} == {None}


def smoothed(logits: np.ndarray, target: np.ndarray, epsilon: float) -> float:
    """The loss from given logits, written out in float64."""
    logits = logits.astype(np.float64)
    top = logits.max(-1, keepdims=True)
    log_probs = logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))
    own = np.take_along_axis(log_probs, target[..., None], -1)
    return float(-(1 - epsilon) * own.mean() - epsilon * log_probs.mean())


@pytest.mark.slow
def test_a_set_of_one_image_without_a_manifest(golden, tmp_path):
    """The second image alone: batch sizes come from the files, heads from the checkpoints' cfg.

    Arrays with an axis of two images are cut; losses follow from the stored logits.
    """
    folder = copied(golden, tmp_path / "set")
    for name in ("manifest.json", "train_trace.npz", "eps_probes.npz", "stage2_ar_pixels.npz"):
        (folder / name).unlink()
    cuts = {"images": 0, "dino": 0, "vqgan": 0, "stage1_uncond": 0, "stage1_cls": 0,
            "stage2_ar": 0, "stage2_vq": 0}  # fmt: skip
    for name in cuts:
        stored = dict(np.load(golden / f"{name}.npz"))
        for key, value in stored.items():
            axis = 1 if key.startswith("hidden_") else 0
            if value.ndim > axis and value.shape[axis] == 2 and not key.startswith("rnd"):
                stored[key] = np.take(value, [1], axis)
        for key in [key for key in stored if "img0" in key or key == "emb_loss"]:
            del stored[key]
        if "loss" in stored:
            stored["loss"] = np.array(smoothed(stored["logits"], stored["tgt"], 0.1))
            stored["nll"] = np.array(smoothed(stored["logits"], stored["tgt"], 0.0))
        np.savez(folder / f"{name}.npz", **stored)
    for name in ("stage1_uncond", "stage1_cls"):
        (folder / f"{name}.codecs").write_text(
            (golden / f"{name}.codecs").read_text().splitlines(keepends=True)[1]
        )
    (folder / "stage2_nar.npz").unlink()
    found = compare(folder)
    assert failed(found) == []
    for name in ("encoder features (feat256)", "semantic tokens (tokens224)",
                 "VQGAN codes (codes)", "VQGAN bytes (dec_u8_crop)", "stage1_cls loss (loss)",
                 "stage2_ar greedy codes (greedy_tokens)",
                 "stage1_uncond greedy codes as text (stage1_uncond.codecs)"):  # fmt: skip
        assert found[name].passed, found[name]
    assert "3 heads (fit best)" in found["encoder features (feat256)"].text


def test_wrong_figures_of_the_manifest_fail(golden, tmp_path):
    """Facts are compared too: digests, shapes, margins, schedules, counts of parameters."""
    folder = copied(golden, tmp_path / "set")
    facts = json.loads((folder / "manifest.json").read_text())
    facts["files"]["images.npz"]["sha256"] = "0" * 64
    facts["npz_arrays"]["images.npz"]["imgs_u8"][1][0] = 3
    facts["dino"]["min_margin_sq_dist_256"] += 1e-3
    facts["stage2_vq"]["check_nll"] += 1e-3
    facts["stage2_vq"]["greedy_distinct"][0] -= 1
    facts["reference_checkpoint_keys"]["stage2_vq"]["n_params_decoder"] += 1
    facts["lr_schedules"]["cosine_0.4_100000"]["1"] += 1e-8
    (folder / "manifest.json").write_text(json.dumps(facts))
    found = compare(folder, "files'", "arrays'", "margin (256)", "stage2_vq", "learning rates")
    assert set(failed(found)) == {
        "files' digests",
        "arrays' types and shapes",
        "centroids' distances: smallest margin (256)",
        "stage2_vq figures of the manifest",
        "stage2_vq parameters",
        "learning rates (cosine_0.4_100000)",
    }
