"""The own vision transformer."""

import math
from dataclasses import replace
from typing import Any

import pytest
import timm
import torch
from timm.layers import resample_abs_pos_embed

from tessera.models.vit import (
    DINOV2_SIZES,
    PositionResampling,
    SelfAttention,
    VisionTransformer,
    ViTConfig,
    resample_positions,
)

TINY = ViTConfig(image_size=32, patch_size=8, width=12, depth=3, heads=3, registers=2)


def built(config: ViTConfig = TINY, seed: int = 0) -> VisionTransformer:
    torch.manual_seed(seed)
    return VisionTransformer(config).eval()


@pytest.mark.parametrize(
    ("name", "parameters", "tensors"),
    [("dinov2_base", 86_583_552, 176), ("dinov2_large", 304_372_736, 344)],
)
def test_full_sizes(name: str, parameters: int, tensors: int) -> None:
    """Parameters and tensors are as many as in the published DINOv2 models with registers."""
    with torch.device("meta"):
        model = VisionTransformer(DINOV2_SIZES[name])
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert len(model.state_dict()) == tensors


def test_same_as_timm() -> None:
    """The network equals timm's DINOv2 at the grid of its position table."""
    config = ViTConfig(image_size=42, patch_size=14, width=24, depth=2, heads=6, layer_scale=0.3)
    ours = built(config)
    torch.nn.init.normal_(ours.register_tokens)
    torch.nn.init.normal_(ours.cls_token)
    theirs = timm.create_model(
        "vit_small_patch14_reg4_dinov2", img_size=42, embed_dim=24, depth=2, num_heads=6
    ).eval()
    state = ours.state_dict()
    del state["mask_token"]
    # timm adds no position to the prefix, so the class token carries its own.
    positions = state.pop("pos_embed")
    state["cls_token"] = state["cls_token"] + positions[:, :1]
    state["pos_embed"], state["reg_token"] = positions[:, 1:], state.pop("register_tokens")
    theirs.load_state_dict(state)
    images = torch.randn(2, 3, 42, 42)
    cls, patches = ours(images)
    expected = theirs.forward_features(images)
    torch.testing.assert_close(cls, expected[:, 0], rtol=0, atol=2e-6)
    torch.testing.assert_close(patches, expected[:, 5:], rtol=0, atol=2e-6)


def test_attention_is_softmax_of_scaled_products() -> None:
    """Attention follows its formula, head by head."""
    torch.manual_seed(0)
    layer = SelfAttention(6, heads=2)
    x = torch.randn(1, 5, 6)
    q, k, v = (x[0] @ layer.qkv.weight.T + layer.qkv.bias).split(6, dim=1)
    heads = []
    for h in (slice(0, 3), slice(3, 6)):
        heads.append(torch.softmax(q[:, h] @ k[:, h].T / math.sqrt(3), dim=1) @ v[:, h])
    expected = torch.cat(heads, dim=1) @ layer.proj.weight.T + layer.proj.bias
    torch.testing.assert_close(layer(x)[0], expected)


def test_features_of_the_last_block() -> None:
    """Layer 1 with the final norm is what the whole network gives for its patches."""
    model, images = built(), torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(model.features(images), model(images)[1], rtol=0, atol=0)


def test_features_stop_at_their_block() -> None:
    """Layer 2 does not run the last block, and without the norm gives the block's own output."""
    model, images = built(), torch.randn(1, 3, 32, 32)
    x = model.blocks[1](model.blocks[0](model.embed(images)))
    torch.nn.init.constant_(model.blocks[2].mlp.fc1.bias, float("nan"))
    raw = model.features(images, layer=2, final_norm=False)
    torch.testing.assert_close(raw, x[:, 3:], rtol=0, atol=0)
    normed = model.features(images, layer=2)
    torch.testing.assert_close(normed, model.norm(x)[:, 3:], rtol=0, atol=0)


@pytest.mark.parametrize("layer", [0, 4])
def test_layer_out_of_range(layer: int) -> None:
    """A layer that the network does not have is refused."""
    with pytest.raises(ValueError, match=r"outside 1\.\.3"):
        built().features(torch.zeros(1, 3, 32, 32), layer=layer)


def test_registers_have_no_position() -> None:
    """Registers come right after the class token and are not moved by the position table."""
    model = built()
    embedded = model.embed(torch.zeros(1, 3, 32, 32))
    assert embedded.shape == (1, 1 + 2 + 16, 12)
    assert torch.equal(embedded[0, 1:3], model.register_tokens[0])
    assert torch.equal(embedded[0, 0], model.cls_token[0, 0] + model.pos_embed[0, 0])


def cubic(t: float, a: float = -0.75) -> float:
    """The kernel of cubic convolution."""
    t = abs(t)
    if t < 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a if t < 2 else 0.0


def test_positions_are_resampled_at_the_offset_scale() -> None:
    """Another grid reads the table at (i + 1/2) / scale - 1/2, scale = (count + 0.1) / side."""
    model = built()
    table = model.pos_embed[0, 1:].view(4, 4, 12).double()
    for grid in [(2, 3), (7, 5)]:
        expected = torch.zeros(*grid, 12, dtype=torch.double)
        for i in range(grid[0]):
            for j in range(grid[1]):
                y = (i + 0.5) * 4 / (grid[0] + 0.1) - 0.5
                x = (j + 0.5) * 4 / (grid[1] + 0.1) - 0.5
                for r in range(math.floor(y) - 1, math.floor(y) + 3):
                    for c in range(math.floor(x) - 1, math.floor(x) + 3):
                        value = table[min(max(r, 0), 3), min(max(c, 0), 3)]
                        expected[i, j] += cubic(y - r) * cubic(x - c) * value
        found = model.positions(grid)[0]
        assert torch.equal(found[0], model.pos_embed[0, 0])
        torch.testing.assert_close(found[1:].double(), expected.flatten(0, 1), atol=1e-6, rtol=0)


@pytest.mark.parametrize("method", ["dinov2", "timm"])
def test_positions_at_their_own_grid(method: PositionResampling) -> None:
    """The grid that the table stands for takes the table as it is."""
    model = built(replace(TINY, position_resampling=method))
    assert model.positions((4, 4)) is model.pos_embed


@pytest.mark.parametrize("grid", [(2, 3), (7, 5), (4, 2)])
def test_positions_by_timms_way(grid: tuple[int, int]) -> None:
    """They are timm's own, smoothed where the grid shrinks, and not DINOv2's."""
    model = built(replace(TINY, position_resampling="timm"))
    expected = resample_abs_pos_embed(model.pos_embed, list(grid), [4, 4], num_prefix_tokens=1)
    torch.testing.assert_close(model.positions(grid), expected, rtol=0, atol=1e-7)
    assert float((built().positions(grid) - expected).detach().abs().max()) > 1e-3


@pytest.mark.parametrize("prefix", [0, 1, 5])
def test_prefix_rows_are_not_resampled(prefix: int) -> None:
    """However many tokens stand before the patches, and on a table that is no square."""
    table = torch.randn(1, prefix + 6, 3)
    for method in ("dinov2", "timm"):
        found = resample_positions(table, (2, 3), (4, 5), method)
        assert found.shape == (1, prefix + 20, 3)
        assert torch.equal(found[:, :prefix], table[:, :prefix])


def test_hidden_patches_leave_no_trace() -> None:
    """What a masked patch shows changes nothing; what a visible one shows does."""
    model = built()
    mask = torch.zeros(1, 16, dtype=torch.bool)
    mask[0, 5] = True  # row 1, column 1
    images = torch.randn(1, 3, 32, 32)
    inside, outside = images.clone(), images.clone()
    inside[:, :, 8:16, 8:16] += 1
    outside[:, :, :8, :8] += 1
    cls, patches = model(images, mask)
    assert torch.equal(model(inside, mask)[1], patches)
    assert not torch.equal(model(outside, mask)[1], patches)
    assert not torch.equal(model(images)[0], cls)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"image_size": 30}, "does not divide 30"),
        ({"heads": 5}, "does not divide width"),
        ({"position_resampling": "nearest"}, "'nearest' is unknown"),
    ],
)
def test_sizes_that_do_not_fit(options: dict[str, Any], said: str) -> None:
    """Sizes that contradict each other are refused."""
    sizes: dict[str, Any] = {"image_size": 32, "patch_size": 8, "width": 12, "depth": 1, "heads": 3}
    sizes |= options
    with pytest.raises(ValueError, match=said):
        ViTConfig(**sizes)


@pytest.mark.parametrize("method", ["dinov2", "timm"])
def test_positions_with_a_gradient_are_the_same(method: str) -> None:
    """In training they are made by a matrix, whose gradient is deterministic on any device."""
    torch.manual_seed(0)
    table = torch.randn(1, 1 + 7 * 7, 5)
    trained = table.clone().requires_grad_()
    made = resample_positions(trained, (7, 7), (4, 3), method)
    torch.testing.assert_close(
        made, resample_positions(table, (7, 7), (4, 3), method), atol=1e-6, rtol=0
    )
    made.sum().backward()
    assert trained.grad is not None
    # Each sample's weights add up to one, and the class token passes unchanged.
    assert float(trained.grad[0, 1:, 0].sum()) == pytest.approx(12, abs=1e-4)
    assert torch.equal(trained.grad[0, 0], torch.ones(5))
