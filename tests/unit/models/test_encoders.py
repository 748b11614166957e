"""Frozen encoders and their input."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tessera.errors import UserError
from tessera.io.weights import save_model
from tessera.models import encoders
from tessera.models.encoders import TimmEncoder, preprocess
from tessera.models.vit import VisionTransformer, ViTConfig
from tessera.stages.loading import load_encoder, load_timm

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
    torch.save(state, tmp_path / "w.pth")
    first = load_timm(NAME, tmp_path / "w.safetensors", **SMALL)
    second = load_timm(NAME, tmp_path / "w.pth", **SMALL)
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
    with pytest.raises(UserError, match="do not exist"):
        load_timm(NAME, tmp_path / "absent.pth", **SMALL)
    (tmp_path / "broken.pth").write_bytes(b"no weights")
    with pytest.raises(UserError, match="cannot be read"):
        load_timm(NAME, tmp_path / "broken.pth", **SMALL)
    torch.save({"teacher": timm_encoder().model.state_dict()}, tmp_path / "w.pth")
    with pytest.raises(UserError, match=r"hold no tensors but \['teacher'\]"):
        load_timm(NAME, tmp_path / "w.pth", **SMALL)


def meta_state(**sizes: int) -> tuple[VisionTransformer, dict[str, torch.Tensor]]:
    """The own ViT with DINOv2's table of 37 x 37, and its weights, which are in Meta's layout."""
    torch.manual_seed(0)
    model = VisionTransformer(ViTConfig(**{"width": 24, "depth": 3, "heads": 6} | sizes)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model.requires_grad_(False), dict(model.state_dict())


@pytest.mark.parametrize(("name", "registers"), [(NAME, 4), ("vit_small_patch14_dinov2", 0)])
@torch.no_grad()
def test_metas_files_in_timms_models(tmp_path: Path, name: str, registers: int) -> None:
    """Features are those of the own ViT, at the table's grid and, by DINOv2's way, at others."""
    ours, state = meta_state(registers=registers)
    torch.save(state, tmp_path / "dinov2.pth")
    sizes = {"embed_dim": 24, "depth": 3, "num_heads": 6}
    theirs = load_timm(name, tmp_path / "dinov2.pth", **sizes)
    assert theirs.model.pos_embed.shape[1] == 37**2 + (registers == 0)  # nothing was resampled
    as_timm = load_timm(name, tmp_path / "dinov2.pth", "timm", **sizes)
    for shape, resampled in (((224, 224), True), ((70, 126), True), ((518, 518), False)):
        images = torch.randn(1, 3, *shape)
        expected = ours.features(images, layer=2)
        torch.testing.assert_close(theirs.features(images, layer=2), expected, rtol=0, atol=1e-5)
        gap = float((as_timm.features(images, layer=2) - expected).abs().max())
        assert gap > 1e-3 if resampled else gap < 1e-5
    assert theirs.model.patch_embed.grid_size == (37, 37)


@torch.no_grad()
def test_timms_way_is_timms() -> None:
    """Either kind of encoder resamples as timm itself does, if told so."""
    ours = VisionTransformer(ViTConfig(28, 14, 24, 3, 6, position_resampling="timm")).eval()
    encoder = TimmEncoder(NAME, "timm", **SMALL).eval()
    state = encoder.model.state_dict()
    state["register_tokens"] = state.pop("reg_token")
    state["pos_embed"] = torch.cat([torch.zeros(1, 1, 24), state["pos_embed"]], 1)
    ours.load_state_dict(state | {"mask_token": torch.zeros(1, 24)})
    images = torch.randn(2, 3, 14, 42)
    expected = encoder.model.forward_features(images)[:, 5:]  # timm alone
    assert torch.equal(encoder.features(images), expected)
    torch.testing.assert_close(ours.features(images), expected, rtol=0, atol=1e-5)


def test_golden_encoder_in_timm(golden: Path) -> None:
    """The reference set's DINOv2, read by timm, gives the original's features."""
    heads = {"A": 3, "B": 4}[json.loads((golden / "manifest.json").read_text())["set"]]
    state = torch.load(golden / "dinov2_tiny.pth", weights_only=True)
    depth = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))
    sizes = {"embed_dim": state["cls_token"].shape[2], "depth": depth, "num_heads": heads}
    encoder = load_timm(NAME, golden / "dinov2_tiny.pth", **sizes)
    with np.load(golden / "images.npz") as file:
        images = torch.from_numpy(file["imgs_u8"]).float() / 255
    with np.load(golden / "dino.npz") as file:
        expected = torch.from_numpy(file["feat256"])
    with torch.inference_mode():
        x = preprocess(images, encoder.mean, encoder.std, 224)
        found = encoder.features(x, layer=3)[:, ::3]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_positions_are_given_back() -> None:
    """After another grid the model has its own table again, also where the network fails."""
    encoder = timm_encoder()
    table, native = encoder.model.pos_embed, torch.randn(1, 3, 28, 28)
    before = encoder.features(native)
    encoder.features(torch.randn(1, 3, 42, 42))
    assert encoder.model.pos_embed is table
    encoder.model.blocks[0].register_forward_pre_hook(lambda m, i: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        encoder.features(torch.randn(1, 3, 42, 42))
    assert encoder.model.pos_embed is table
    encoder.model.blocks[0]._forward_pre_hooks.clear()
    assert torch.equal(encoder.features(native), before)


def test_threads_do_not_disturb_each_other() -> None:
    """The second to enter goes on when the first has left, with positions for its own grid."""
    encoder, images = timm_encoder(), torch.randn(1, 3, 42, 42)
    expected = encoder.features(images)
    entered, both, left = Event(), Barrier(2), Event()

    def halt(*_: Any) -> None:
        entered.set()
        if both.wait(60):  # 0 is who came first
            assert left.wait(60)

    def features() -> torch.Tensor:
        made = encoder.features(images)
        left.set()
        return made

    halting = encoder.model.patch_embed.register_forward_hook(halt)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(features)
        assert entered.wait(60)
        second = pool.submit(features)
        assert first.result().equal(expected)
        assert second.result().equal(expected)
    halting.remove()
    assert encoder.features(images).equal(expected)


@pytest.mark.parametrize(
    "name", ["deit_tiny_patch16_224", "eva02_tiny_patch14_224", "vit_tiny_patch16_224"]
)
@pytest.mark.parametrize("resampling", ["dinov2", "timm"])
@torch.no_grad()
def test_other_models_of_timm(name: str, resampling: str) -> None:
    """Other families with absolute positions, at their own size and at another."""
    encoder = TimmEncoder(name, resampling, depth=1).eval()
    for side in (224, 112):
        rows, columns = encoder.grid(side, side)
        features = encoder.features(torch.randn(1, 3, side, side))
        assert features.shape == (1, rows * columns, encoder.width)


@pytest.mark.parametrize("kind", ["timm", "own"])
def test_load_encoder(tmp_path: Path, kind: str) -> None:
    """Either kind comes back from its folder, with its way of resampling."""
    encoder: TimmEncoder | VisionTransformer
    if kind == "timm":
        encoder = TimmEncoder(NAME, "timm", **SMALL).eval()
    else:
        torch.manual_seed(0)
        encoder = VisionTransformer(ViTConfig(28, 14, 24, 3, 6, position_resampling="timm")).eval()
    save_model(tmp_path, encoder, encoder.config)
    loaded = load_encoder(tmp_path, "cpu")
    images = torch.randn(1, 3, 42, 42)
    with torch.no_grad():
        assert torch.equal(loaded.features(images, 2), encoder.features(images, 2))
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert (loaded.mean, loaded.std) == (encoder.mean, encoder.std)


def test_load_encoder_of_another_model(tmp_path: Path) -> None:
    """A folder of something else is the user's error."""
    (tmp_path / "model.json").write_text('{"model": "GPT", "config": {}}')
    with pytest.raises(UserError, match="holds a 'GPT' where a 'VisionTransformer' is needed"):
        load_encoder(tmp_path, "cpu")


def test_the_hub_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights by name alone need the network; without it the message says what to do instead."""
    import timm

    def fetch(*_: Any, pretrained: bool, **__: Any) -> None:
        assert pretrained
        raise OSError("no route to the hub\nand more lines")

    monkeypatch.setattr(timm, "create_model", fetch)
    with pytest.raises(UserError, match=r"\(no route to the hub\): download the file and name it"):
        load_timm(NAME)


def test_another_patch_size_is_no_fit(tmp_path: Path) -> None:
    """Where timm would resample the weights of the patches silently, the load is refused."""
    _, state = meta_state(patch_size=16, image_size=224)
    torch.save(state, tmp_path / "w.pth")
    sizes = {"embed_dim": 24, "depth": 3, "num_heads": 6}
    with pytest.raises(UserError, match=r"of another shape: patch_embed\.proj\.weight"):
        load_timm(NAME, tmp_path / "w.pth", **sizes)


@pytest.mark.parametrize(
    ("rows", "side"), [(1370, 518), (1369, 518), (197, 196), (198, None), (0, None)]
)
def test_the_input_of_a_position_table(rows: int, side: int | None) -> None:
    """With a class token or without; anything else tells no side."""
    patches = torch.zeros(8, 3, 14, 14)
    state = {"pos_embed": torch.zeros(1, rows, 8), "patch_embed.proj.weight": patches}
    assert encoders.input_size_of(state) == side
    assert encoders.input_size_of({"patch_embed.proj.weight": patches}) is None


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
