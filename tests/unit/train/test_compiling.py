"""Compiled blocks: the same function of the same weights, or none where nothing can compile."""

import logging

import pytest
import torch

from tessera.models.gpt import GPT, GPTConfig
from tessera.train import compiling
from tessera.train.compiling import compiles, with_compiled_layers
from tessera.train.optimizers import adamw
from tessera.train.task import GradientTask

CONFIG = GPTConfig(
    vocabulary=11, length=6, width=16, layers=2, heads=2, ffn=32, dropout=0.0, norm="post",
    max_positions=7,
)  # fmt: skip


@pytest.fixture
def eager(monkeypatch):
    """The compiler's front end alone: what it captures runs as plain torch."""
    compile_ = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f, **o: compile_(f, backend="aot_eager", **o))


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # torch's own, as it traces
def test_a_training_with_compiled_layers_is_that_without(eager):
    """Three updates: losses and weights to 1e-6, and the model keeps its names."""
    codes = torch.randint(11, (4, 6), generator=torch.Generator().manual_seed(0))
    losses, states = [], []
    for compiled in (False, True):
        torch.manual_seed(0)
        model = GPT(CONFIG)
        task = GradientTask(
            model, lambda network, step, micro: {"loss": network(codes)},
            adamw(model.parameters()), lambda step: 1e-2, clip=1.0, compiled=compiled,
        )  # fmt: skip
        losses.append(torch.stack([task.update(step)["loss"] for step in range(3)]))
        states.append(task.state_dict()["model"])
        assert (task.network is model) != compiled
        assert task.trained() is model
    torch.testing.assert_close(*losses, atol=1e-6, rtol=0)
    assert states[0].keys() == states[1].keys()
    for name in states[0]:
        one, two = states[0][name], states[1][name]
        if name.endswith("qkv.bias"):
            # That of the keys moves all scores of a position alike: its gradient is mere rounding,
            # which AdamW enlarges to whole steps.
            one, two = (torch.cat((bias[:16], bias[32:])) for bias in (one, two))
        torch.testing.assert_close(one, two, atol=1e-5, rtol=0)


def test_the_twin_shares_the_parameters():
    """The model stays as it was; what trains the twin trains it."""
    model = GPT(CONFIG)
    layers = list(model.layers)
    twin = with_compiled_layers(model)
    assert list(model.layers) == layers
    for one, two in zip(model.parameters(), twin.parameters(), strict=True):
        assert one is two


def test_the_compiler_hears_of_determinism(monkeypatch):
    """A stage asks for it as `prepare` does; the compiler's own setting follows."""
    from torch._inductor import config

    monkeypatch.setattr(config, "deterministic", False)
    mode = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("error")
    try:
        with_compiled_layers(GPT(CONFIG))
        assert config.deterministic
        assert torch.get_deterministic_debug_mode() == 2
    finally:
        torch.set_deterministic_debug_mode(mode)


@pytest.mark.parametrize(
    ("mode", "device", "possible", "expected"),
    [
        ("auto", "cpu", True, False),
        ("auto", "cuda", True, True),
        ("auto", "cuda", False, False),
        ("yes", "cpu", True, True),
        ("yes", "cpu", False, False),
        ("no", "cuda", True, False),
    ],
)
def test_when_layers_are_compiled(monkeypatch, mode, device, possible, expected):
    """Where it is asked for or on a GPU, and only if it can be done."""
    monkeypatch.setattr(compiling, "can_compile", lambda device: possible)
    assert compiles(mode, device) is expected


def test_no_compiler(monkeypatch, caplog):
    """One line in the log, and the training goes on without."""

    def fail(function, **options):
        raise RuntimeError("Failed to find C compiler\nmore")

    monkeypatch.setattr(torch, "compile", fail)
    with caplog.at_level(logging.WARNING):
        assert not compiling.can_compile("cpu")
    assert caplog.messages == [
        "torch.compile does not work here (RuntimeError: Failed to find C compiler): training "
        "without it, which is slower"
    ]
