"""The translation of published weights: complete, strict, and of the right parts."""

import pytest
import torch
from torch import Tensor

from tessera.errors import UserError
from tessera.models.fairseq_names import config_from_fairseq, from_fairseq, to_fairseq
from tessera.models.gpt import GPT


def published(norm: str, prefix: bool, width: int = 8, ffn: int = 12) -> dict[str, Tensor]:
    """A state-dict with the published names; 2 layers, 10 codes, 6 classes or prefix codes."""
    torch.manual_seed(0)
    rows = 15 + (5 + 6 if prefix else 6)
    state = {
        "centroids": torch.zeros(3, 4),
        "decoder.version": torch.tensor([3.0]),
        "decoder.embed_tokens.weight": torch.randn(rows, width),
        "decoder.embed_positions.weight": torch.randn(22, width),
        "decoder.output_projection.weight": torch.randn(15, width),
    }
    if prefix:
        state["decoder.embed_positions_1.weight"] = torch.randn(22, width)
    if norm == "pre":
        state["decoder.layer_norm.weight"] = torch.randn(width)
        state["decoder.layer_norm.bias"] = torch.randn(width)
    shapes = {
        "self_attn_layer_norm": (width,),
        "final_layer_norm": (width,),
        "fc1": (ffn, width),
        "fc2": (width, ffn),
    } | {f"self_attn.{x}_proj": (width, width) for x in ("k", "v", "q", "out")}
    for layer in range(2):
        for name, shape in shapes.items():
            state[f"decoder.layers.{layer}.{name}.weight"] = torch.randn(shape)
            state[f"decoder.layers.{layer}.{name}.bias"] = torch.randn(shape[0])
    return state


@pytest.mark.parametrize(("norm", "prefix"), [("post", False), ("pre", False), ("pre", True)])
def test_loads_strictly_into_the_model_of_the_read_sizes(norm: str, prefix: bool) -> None:
    """Names and sizes agree, so that a strict load succeeds."""
    state = published(norm, prefix)
    config = config_from_fairseq(state, heads=2, length=7, prefix_length=7 if prefix else 0)
    GPT(config).load_state_dict(from_fairseq(state))
    assert config.vocabulary == 10
    assert (config.classes, config.prefix_vocabulary) == ((0, 6) if prefix else (6, 0))
    assert (config.norm, config.layers, config.ffn, config.max_positions) == (norm, 2, 12, 20)


def test_query_key_and_value_keep_their_order() -> None:
    """The fused layer holds q, then k, then v, whatever the order in the file."""
    state = published("post", False)
    fused = from_fairseq(state)["layers.1.attention.qkv.weight"]
    parts = [state[f"decoder.layers.1.self_attn.{x}_proj.weight"] for x in "qkv"]
    assert torch.equal(fused, torch.cat(parts))


@pytest.mark.parametrize(("norm", "prefix"), [("post", False), ("pre", False), ("pre", True)])
def test_there_and_back(norm: str, prefix: bool) -> None:
    """The published names come back, tensor by tensor, but for what is no part of the network."""
    state = published(norm, prefix)
    back = to_fairseq(from_fairseq(state))
    assert back.keys() == state.keys() - {"centroids", "decoder.version"}
    assert all(torch.equal(value, state[name]) for name, value in back.items())


def test_unknown_entry_is_refused() -> None:
    """Nothing of the decoder is dropped silently."""
    state = published("post", False) | {"decoder.layers.0.alpha.weight": torch.zeros(1)}
    with pytest.raises(UserError, match=r"layers\.0\.alpha\.weight"):
        from_fairseq(state)


def test_incomplete_attention_is_refused() -> None:
    """A missing value layer is named."""
    state = published("post", False)
    del state["decoder.layers.0.self_attn.v_proj.bias"]
    with pytest.raises(UserError, match=r"only k, q .*layers\.0\.attention\.qkv\.bias"):
        from_fairseq(state)


def test_a_file_without_a_decoder_is_refused() -> None:
    """An encoder's weights, given by mistake, are recognised."""
    with pytest.raises(UserError, match=r"decoder\."):
        from_fairseq({"blocks.0.weight": torch.zeros(1)})


def test_missing_size_is_refused() -> None:
    """Without the output layer the vocabulary is unknown."""
    state = published("post", False)
    del state["decoder.output_projection.weight"]
    with pytest.raises(UserError, match="output_projection"):
        config_from_fairseq(state, heads=2, length=7)


@pytest.mark.parametrize("name", ["embed_tokens", "output_projection"])
def test_a_table_that_is_none_is_refused(name: str) -> None:
    """Its shape is read before anything is built."""
    state = published("post", False) | {f"decoder.{name}.weight": torch.tensor(1.0)}
    with pytest.raises(UserError, match="not two-dimensional"):
        config_from_fairseq(state, heads=2, length=7)
