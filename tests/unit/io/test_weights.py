"""Trained models on disk."""

import os
import subprocess
import sys
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from tessera.errors import UserError
from tessera.io.weights import load_into, read_model_config, save_model, unmade


@dataclass(frozen=True)
class Shape:
    """A config as models have it."""

    width: int = 3
    factors: tuple[int, ...] = (1, 2)


class Net(nn.Module):
    """A model with a parameter and a buffer."""

    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 2)
        self.register_buffer("counts", torch.arange(width))


@pytest.fixture
def saved(tmp_path):
    """A model and its folder."""
    model = Net()
    files = save_model(tmp_path, model, Shape(), mean=[0.5])
    assert sorted(file.name for file in files) == sorted(os.listdir(tmp_path))
    return model, tmp_path


def test_weights_come_back(saved):
    """Bit for bit, ready for evaluation."""
    model, folder = saved
    loaded = load_into(Net(), folder)
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_the_config_comes_back(saved):
    """What builds the model, and facts beside it."""
    _, folder = saved
    assert read_model_config(folder, "Net") == {
        "model": "Net",
        "config": {"width": 3, "factors": [1, 2]},
        "mean": [0.5],
    }
    with pytest.raises(UserError, match=r"holds a 'Net' where a 'GPT' is needed"):
        read_model_config(folder, "GPT")


class Missing(Net):
    """Has a layer that the file does not."""

    def __init__(self) -> None:
        super().__init__()
        self.more = nn.Linear(1, 1)


class Fewer(nn.Module):
    """Lacks a buffer that the file has."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)


@pytest.mark.parametrize(
    ("model", "word"),
    [(Missing, "more"), (Fewer, "counts"), (lambda: Net(4), "of another shape: counts")],
    ids=["missing", "unexpected", "shape"],
)
def test_loading_is_strict(saved, model, word):
    """A name too many, one too few, another shape."""
    with pytest.raises(UserError, match=rf"do not fit the model \(.*{word}.*name the model"):
        load_into(model(), saved[1])


@pytest.mark.parametrize("kept", [0, 5, 100])
def test_damaged_weights_are_one_sentence(saved, kept):
    """Truncated anywhere."""
    path = saved[1] / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match="is absent or damaged: delete its folder"):
        load_into(Net(), saved[1])


def test_absent_weights_are_one_sentence(tmp_path):
    """It names the file."""
    with pytest.raises(UserError, match=r"model\.safetensors is absent or damaged"):
        load_into(Net(), tmp_path)


def test_only_a_dataclass_is_a_config(tmp_path):
    """A dict or a class would not build the model again."""
    for config in ({"width": 3}, Shape):
        with pytest.raises(TypeError, match="instance of a dataclass"):
            save_model(tmp_path, Net(), config)


def test_an_unmade_model_gets_a_files_weights(saved):
    """It has none of its own before, and draws none."""
    model, folder = saved
    state = torch.get_rng_state()
    with unmade():
        empty = Net()
        nn.init.normal_(empty.linear.weight, std=2.0)
        table = nn.Embedding(3, 2)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(value.is_meta for value in (*empty.state_dict().values(), table.weight))
    made = load_into(empty, folder)
    for name, value in model.state_dict().items():
        assert torch.equal(made.state_dict()[name], value)


def test_an_unmade_model_needs_no_compiler():
    """Importing it takes longer than most jobs."""
    code = """
import sys
from tessera.io.weights import unmade
from tessera.models.gpt import GPT, GPTConfig
from tessera.models.vit import VisionTransformer, ViTConfig
from tessera.models.vqgan import VQGAN, VQGANConfig
from tessera.stages.job import prepare
prepare(1, "cpu")
with unmade():
    GPT(GPTConfig(vocabulary=9, length=4, width=8, layers=1, heads=2, ffn=8, norm="pre",
                  max_positions=5))
    VisionTransformer(ViTConfig(image_size=16, patch_size=8, width=8, depth=1, heads=2))
    VQGAN(VQGANConfig(resolution=8, channels=4, multipliers=(1, 1), norm_groups=2))
print("torch._dynamo" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stdout.strip()) == (0, "False"), result.stderr
