"""Encoders in the exact formats of DINOv2, iBOT, MAE and MoCo v3, at tiny sizes."""

import pytest
import torch

from tessera.io.files import read_json
from tessera.models.vit import VisionTransformer
from tessera.stages.loading import load_encoder

IMAGES = torch.linspace(0, 1, 2 * 3 * 224 * 224).view(2, 3, 224, 224)
PATCH_16 = {"image_size": 224, "patch_size": 16, "registers": 0, "layer_scale": None}
HEADS = ("--heads", "3")


@torch.no_grad()
def same(folder, model: VisionTransformer) -> bool:
    """Whether the imported encoder gives the features of the model that the file was made from."""
    found = load_encoder(folder, "cpu")
    assert isinstance(found, VisionTransformer)
    return torch.equal(found.features(IMAGES, layer=2), model.features(IMAGES, layer=2))


@pytest.mark.parametrize("registers", [4, 0])
def test_dinov2(tmp_path, imported, vit, registers) -> None:
    """Meta's files, with registers and without: the tensors are the top level."""
    model, state = vit(image_size=518, patch_size=14, registers=registers)
    torch.save(state, tmp_path / "dinov2.pth")
    out = imported("encoder", tmp_path / "dinov2.pth", *HEADS)
    assert same(out, model)
    config = read_json(out / "model.json")["config"]
    assert (config["registers"], config["image_size"]) == (registers, 518)
    assert config["position_resampling"] == "dinov2"


def test_ibot(tmp_path, imported, vit) -> None:
    """The teacher under `backbone.`; student, heads and iBOT's mask token are left out."""
    model, state = vit(**PATCH_16)
    del state["mask_token"]
    state["masked_embed"] = torch.zeros(1, 24)
    teacher = {f"backbone.{k}": v for k, v in state.items()}
    teacher |= {"head.mlp.0.weight": torch.zeros(4, 24), "head.last_layer.weight_g": torch.ones(4)}
    student = {f"module.{k}": torch.zeros_like(v) for k, v in teacher.items()}
    checkpoint = {"student": student, "teacher": teacher, "epoch": 400, "fp16_scaler": None}
    torch.save(checkpoint, tmp_path / "checkpoint.pth")
    assert same(imported("encoder", tmp_path / "checkpoint.pth", *HEADS), model)


def test_ibot_teacher_alone(tmp_path, imported, vit) -> None:
    """The smaller file of iBOT holds the teacher's backbone as `state_dict`."""
    model, state = vit(**PATCH_16)
    del state["mask_token"]
    torch.save({"state_dict": state}, tmp_path / "checkpoint_teacher.pth")
    assert same(imported("encoder", tmp_path / "checkpoint_teacher.pth", *HEADS), model)


@pytest.mark.parametrize("with_decoder", [False, True])
def test_mae(tmp_path, imported, vit, with_decoder) -> None:
    """The encoder under `model`, alone or beside the decoder, whose mask token is not ours."""
    model, state = vit(**PATCH_16)
    del state["mask_token"]
    if with_decoder:
        state |= {
            "mask_token": torch.ones(1, 1, 16),
            "decoder_pos_embed": torch.ones(1, 197, 16),
            "decoder_embed.weight": torch.ones(16, 24),
            "decoder_blocks.0.norm1.weight": torch.ones(16),
            "decoder_norm.weight": torch.ones(16),
            "decoder_pred.bias": torch.ones(768),
        }
    torch.save({"model": state}, tmp_path / "mae.pth")
    assert same(imported("encoder", tmp_path / "mae.pth", *HEADS), model)


def test_mocov3_with_its_misspelt_names(tmp_path, imported, vit) -> None:
    """Block 13 has norm13 and fc13 for its first, block 14 norm14 and fc14 for its second ones."""
    model, state = vit(**PATCH_16, depth=15)
    del state["mask_token"]
    for block, number, odd in ((13, 1, 13), (14, 2, 14)):
        for part in ("norm", "mlp.fc"):
            for kind in ("weight", "bias"):
                value = state.pop(f"blocks.{block}.{part}{number}.{kind}")
                state[f"blocks.{block}.{part}{odd}.{kind}"] = value
    base = {f"module.base_encoder.{k}": v for k, v in state.items()}
    base |= {
        "module.base_encoder.head.0.weight": torch.zeros(8, 24),
        "module.momentum_encoder.cls_token": torch.zeros(1, 1, 24),
        "module.predictor.0.weight": torch.zeros(8, 8),
    }
    torch.save({"epoch": 300, "arch": "vit_base", "state_dict": base}, tmp_path / "vit.pth.tar")
    assert same(imported("encoder", tmp_path / "vit.pth.tar", *HEADS), model)


def test_both_norms_misspelt(tmp_path, imported, vit) -> None:
    """Then the lower number is the first: 13 before 14."""
    model, state = vit(**PATCH_16)
    for number, odd in ((1, 13), (2, 14)):
        for kind in ("weight", "bias"):
            state[f"blocks.1.norm{odd}.{kind}"] = state.pop(f"blocks.1.norm{number}.{kind}")
    torch.save(state, tmp_path / "vit.pth")
    assert same(imported("encoder", tmp_path / "vit.pth", *HEADS), model)


def test_a_misspelt_name_without_a_place(tmp_path, refused, vit) -> None:
    """It is not dropped."""
    _, state = vit(**PATCH_16)
    state["blocks.1.norm13.weight"] = torch.ones(24)
    torch.save(state, tmp_path / "vit.pth")
    said = refused("encoder", tmp_path / "vit.pth", *HEADS)
    assert "blocks.1.norm13.weight has no place" in said


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("dinov2_base", {"width": 768, "depth": 1, "heads": 12}),
        ("mocov3_base", {"width": 768, "depth": 1, "heads": 12} | PATCH_16),
    ],
)
def test_a_named_model_of_other_sizes(tmp_path, refused, vit, name, sizes) -> None:
    """The name is checked against the file."""
    _, state = vit(**sizes)
    torch.save(state, tmp_path / "vit.pth")
    said = refused("encoder", tmp_path / "vit.pth", "--model", name)
    assert f"has width 768, 1 blocks and patches of {sizes.get('patch_size', 14)}" in said
    assert f"but {name} has width 768, 12 blocks" in said


def test_a_named_model(tmp_path, imported, vit) -> None:
    """Sizes of DINOv2 small; its heads need not be said."""
    model, state = vit(width=384, depth=12, heads=6)
    torch.save(state, tmp_path / "vits14_reg4.pth")
    assert same(imported("encoder", tmp_path / "vits14_reg4.pth", "--model", "dinov2_small"), model)


def test_heads_of_64_channels(tmp_path, imported, vit) -> None:
    """All published models have them, so a width that they divide needs no `--heads`."""
    model, state = vit(width=128, heads=2)
    torch.save(state, tmp_path / "vit.pth")
    assert same(imported("encoder", tmp_path / "vit.pth"), model)


def test_key_and_prefix_can_be_said(tmp_path, imported, vit) -> None:
    """For files that hold several encoders, or one in an unusual place."""
    model, state = vit()
    other = {k: torch.zeros_like(v) for k, v in state.items()}
    torch.save(
        {"model": other, "ema": {f"net.{k}": v for k, v in state.items()}}, tmp_path / "e.pth"
    )
    options = ("--key", "ema", "--prefix", "net.")
    assert same(imported("encoder", tmp_path / "e.pth", *HEADS, *options), model)


def test_half_precision_becomes_float32(tmp_path, imported, vit) -> None:
    """The numbers stay, the type is this project's."""
    _, state = vit()
    torch.save({k: v.half() for k, v in state.items()}, tmp_path / "vit.pth")
    found = load_encoder(imported("encoder", tmp_path / "vit.pth", *HEADS), "cpu")
    assert isinstance(found, VisionTransformer)
    weight = found.blocks[1].attn.qkv.weight
    assert weight.dtype == torch.float32
    assert torch.equal(weight, state["blocks.1.attn.qkv.weight"].half().float())


def test_the_resampling_of_positions_is_kept(tmp_path, imported, vit) -> None:
    """`--position-resampling timm` is in the model's config, and changes features."""
    model, state = vit()
    torch.save(state, tmp_path / "vit.pth")
    out = imported("encoder", tmp_path / "vit.pth", *HEADS, "--position-resampling", "timm")
    assert read_json(out / "model.json")["config"]["position_resampling"] == "timm"
    assert not same(out, model)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"blocks.0.mlp.w12.weight": (8, 24)}, "unexpected: blocks.0.mlp.w12.weight"),
        ({"fc_norm.weight": (24,)}, "unexpected: fc_norm.weight"),
        ({"norm.bias": None}, "missing: norm.bias"),
        ({"blocks.0.norm1.weight": (25,)}, "of another shape: blocks.0.norm1.weight"),
        ({"blocks.9.norm1.weight": (24,)}, "the modules blocks.0, blocks.1, … are not complete"),
        ({"pos_embed": (1, 1371, 24)}, "1371 rows, which are no square grid"),
        ({"pos_embed": (1370, 24)}, "pos_embed has the shape (1370, 24)"),
        ({"pos_embed": None}, "holds no pos_embed"),
        ({"patch_embed.proj.weight": None}, "holds no vision transformer"),
        ({"reg_token": (1, 4, 24)}, "is in timm's layout: give it to the config as an encoder of"),
    ],
)
def test_files_that_do_not_fit(tmp_path, refused, vit, change, said) -> None:
    """Nothing is guessed, and nothing but what a pretraining leaves is dropped."""
    _, state = vit()
    for name, shape in change.items():
        if shape is None:
            del state[name]
        else:
            state[name] = torch.ones(shape)
    torch.save(state, tmp_path / "vit.pth")
    assert said in refused("encoder", tmp_path / "vit.pth", *HEADS)
