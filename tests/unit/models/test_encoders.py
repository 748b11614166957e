"""Frozen encoders and their input."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tessera.errors import UserError
from tessera.models.encoders import TimmEncoder, preprocess
from tessera.models.vit import VisionTransformer, ViTConfig
from tessera.stages.loading import load_timm, load_vit

NAME = "vit_small_patch14_reg4_dinov2"
SMALL = {"img_size": 28, "embed_dim": 24, "depth": 3, "num_heads": 6}


def timm_encoder() -> TimmEncoder:
    torch.manual_seed(0)
    return TimmEncoder(NAME, **SMALL).eval()


@pytest.mark.parametrize("layer", [1, 2, 3])
@pytest.mark.parametrize("final_norm", [True, False])
def test_timm_features(layer: int, final_norm: bool) -> None:
    """Features are the patch tokens of the block counted from the end, registers dropped."""
    encoder, images = timm_encoder(), torch.randn(2, 3, 28, 28)
    found = encoder.features(images, layer, final_norm)
    seen = []
    encoder.model.blocks[3 - layer].register_forward_hook(lambda m, i, o: seen.append(o))
    encoder.model(images)
    expected = encoder.model.norm(seen[0]) if final_norm else seen[0]
    torch.testing.assert_close(found, expected[:, 5:], rtol=0, atol=1e-6)
    assert found.shape == (2, 4, encoder.width)


def test_timm_stops_at_the_block() -> None:
    """Blocks behind the wanted one are not run."""
    encoder = timm_encoder()
    encoder.model.blocks[2].register_forward_hook(lambda m, i, o: pytest.fail("block 2 was run"))
    encoder.features(torch.zeros(1, 3, 28, 28), layer=2)


def test_timm_layer_out_of_range() -> None:
    """A layer that the model does not have is refused."""
    with pytest.raises(ValueError, match=r"outside 1\.\.3"):
        timm_encoder().features(torch.zeros(1, 3, 28, 28), layer=4)


def test_grid_matches_the_features() -> None:
    """Both kinds of encoder name the grid of an input that is not the table's own."""
    images = torch.zeros(1, 3, 28, 42)
    ours = VisionTransformer(ViTConfig(28, 14, width=12, depth=1, heads=2))
    for encoder in (timm_encoder(), ours):
        rows, columns = encoder.grid(28, 42)
        assert (rows, columns) == (2, 3)
        assert encoder.features(images).shape[1] == rows * columns


@pytest.mark.parametrize(
    ("name", "said"), [("vit_of_nobody", "unknown to timm"), ("resnet18", "no stack of blocks")]
)
def test_names_that_do_not_work(name: str, said: str) -> None:
    """An unknown model and one without blocks are the user's error."""
    with pytest.raises(UserError, match=said):
        TimmEncoder(name)


def test_load_timm(tmp_path: Path) -> None:
    """Weights load from both kinds of file; the result is frozen."""
    encoder, images = timm_encoder(), torch.randn(1, 3, 28, 28)
    state = encoder.model.state_dict()
    save_file(state, tmp_path / "w.safetensors")
    torch.save({"teacher": {f"backbone.{k}": v for k, v in state.items()}}, tmp_path / "w.pth")
    first = load_timm(NAME, tmp_path / "w.safetensors", **SMALL)
    second = load_timm(NAME, tmp_path / "w.pth", key="teacher", prefix="backbone.", **SMALL)
    for loaded in (first, second):
        assert torch.equal(loaded.features(images), encoder.features(images))
        assert not loaded.training
        assert not any(p.requires_grad for p in loaded.parameters())


def test_classifier_in_the_file_is_left_out(tmp_path: Path) -> None:
    """A file with timm's classifier loads: the head is no part of an encoder."""
    state = timm_encoder().model.state_dict() | {"head.weight": torch.zeros(10, 24)}
    save_file(state, tmp_path / "w.safetensors")
    load_timm(NAME, tmp_path / "w.safetensors", **SMALL)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"norm.bias": None}, "missing: norm.bias"),
        ({"more": torch.zeros(1)}, "unexpected: more"),
        ({"norm.bias": torch.zeros(7)}, r"of another shape: norm.bias \(7,\) for \(24,\)"),
    ],
)
def test_weights_that_do_not_fit(
    tmp_path: Path, change: dict[str, torch.Tensor | None], said: str
) -> None:
    """Missing, unexpected and misshapen weights are named."""
    state = timm_encoder().model.state_dict() | change
    save_file({k: v for k, v in state.items() if v is not None}, tmp_path / "w.safetensors")
    with pytest.raises(UserError, match=said):
        load_timm(NAME, tmp_path / "w.safetensors", **SMALL)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """Absent, broken and wrongly nested files are the user's error."""
    config = ViTConfig(28, 14, width=12, depth=1, heads=2)
    with pytest.raises(UserError, match="do not exist"):
        load_vit(config, tmp_path / "absent.pth")
    (tmp_path / "broken.pth").write_bytes(b"no weights")
    with pytest.raises(UserError, match="cannot be read"):
        load_vit(config, tmp_path / "broken.pth")
    torch.save({"model": {"a": torch.zeros(1)}}, tmp_path / "w.pth")
    with pytest.raises(UserError, match="no entry 'teacher'"):
        load_vit(config, tmp_path / "w.pth", key="teacher")
    with pytest.raises(UserError, match=r"begins with 'x\.'"):
        load_vit(config, tmp_path / "w.pth", key="model", prefix="x.")


def test_load_vit(tmp_path: Path) -> None:
    """The own ViT comes back from its file."""
    config = ViTConfig(28, 14, width=12, depth=1, heads=2)
    model = VisionTransformer(config).eval()
    torch.save(model.state_dict(), tmp_path / "w.pth")
    images = torch.randn(1, 3, 28, 28)
    loaded = load_vit(config, tmp_path / "w.pth")
    assert torch.equal(loaded.features(images), model.features(images))


def test_preprocess_normalises_by_channel() -> None:
    """Without resizing it is (x - mean) / std."""
    images = torch.tensor([0.5, 0.25, 1.0]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    found = preprocess(images, (0.5, 0.0, 0.5), (0.5, 0.5, 0.25))
    assert torch.equal(found, torch.tensor([0.0, 0.5, 2.0]).view(1, 3, 1, 1).expand(1, 3, 4, 4))
    assert torch.equal(preprocess(images, (0.5, 0.0, 0.5), (0.5, 0.5, 0.25), 4), found)


def test_preprocess_does_not_smooth() -> None:
    """Halving the side reads 4 of 8 pixels a row: without antialias the ends have no say."""
    images = torch.zeros(1, 3, 8, 8)
    images[:, :, :, 0] = 1.0
    found = preprocess(images, (0.0,) * 3, (1.0,) * 3, 4)
    # Output 0 lies at 0.5 between pixels 0 and 1, weights -3/32, 19/32, 19/32, -3/32 over pixels
    # -1 (= 0), 0, 1, 2; output 1 lies at 2.5 over pixels 1 to 4.
    assert found[0, 0, 0].tolist() == [0.5, 0.0, 0.0, 0.0]
