"""A set of other shapes, computed by formulas that share no code with the project."""

from pathlib import Path

import pytest
import torch

from tests.parity import checks, second_set  # noqa: F401  (registers the quantities)
from tests.parity.reference_set import ReferenceSet
from tests.parity.registry import judge, quantities

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The written set."""
    return second_set.write(tmp_path_factory.mktemp("parity") / "second")


def test_every_quantity_agrees(folder: Path) -> None:
    """All that the set holds passes; shapes, heads and layers are found in its files."""
    reference = ReferenceSet(folder)
    found = {q.name: judge(reference, q) for q in quantities(reference)}
    assert [result for result in found.values() if result.passed is False] == []
    for name in (
        "encoder features (feat224)",
        "encoder features (feat224_n1_img0)",
        "semantic tokens (tokens224)",
        "VQGAN latents (enc_h)",
        "VQGAN codes (codes)",
        "VQGAN pixels (dec_strided)",
        "VQGAN pixels (dec_crop)",
        "VQGAN bytes (dec_u8_crop)",
        "stage1_cls logits (logits)",
        "stage1_cls hidden states (hidden_mean)",
        "stage1_cls greedy codes (greedy_tokens)",
        "stage1_uncond loss (loss)",
        "stage1_uncond greedy codes (greedy_tokens)",
        "stage2_ar input ids (input_ids)",
        "stage2_ar loss without smoothing (nll)",
        "stage2_ar greedy codes (greedy_tokens)",
        "stage2_nar logits (logits)",
        "stage2_nar loss (loss)",
        "stage2_nar hidden counts a step (mask_counts)",
        "stage2_nar steps by argmax (argmax_tokens_per_step)",
        "stage2_nar decoding by argmax (argmax_final)",
    ):
        assert found[name].passed, f"{name}: {found[name].text}"
    assert f"{second_set.VIT_HEADS} heads (fit best)" in found["encoder features (feat224)"].text
    assert "2 heads (fit best)" in found["stage1_uncond logits (logits)"].text


def test_a_wrong_weight_fails(folder: Path, tmp_path: Path) -> None:
    """The set can fail: one bias of the encoder moved by 1e-2."""
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    state = torch.load(tmp_path / "dinov2_tiny.pth", weights_only=True)
    state["blocks.1.mlp.fc2.bias"][3] += 0.01
    torch.save(state, tmp_path / "dinov2_tiny.pth")
    reference = ReferenceSet(tmp_path)
    found = {q.name: judge(reference, q) for q in quantities(reference) if "encoder" in q.name}
    assert found["encoder features (feat224)"].passed is False
