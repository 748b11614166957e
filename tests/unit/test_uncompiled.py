"""Optimisers without torch's compiler: nothing imports it, and the updates are torch's own."""

import subprocess
import sys

import pytest

UPDATES = """
import sys
import torch
from tessera.uncompiled import spare_compiler

if "spared" in sys.argv:
    spare_compiler()
    spare_compiler()
torch.manual_seed(0)
for kind, how in (("SGD", {"momentum": 0.9}), ("Adam", {}), ("AdamW", {"fused": True})):
    model = torch.nn.Linear(3, 2)
    optimizer = getattr(torch.optim, kind)(model.parameters(), lr=0.1, **how)
    for _ in range(3):
        optimizer.zero_grad(set_to_none=True)
        model(torch.ones(4, 3)).square().sum().backward()
        optimizer.step()
        optimizer.load_state_dict(optimizer.state_dict())
    assert all(parameter.requires_grad for parameter in model.parameters())
    print(kind, model.weight.tolist())
print("torch._dynamo" in sys.modules)
"""


@pytest.fixture(scope="module")
def printed():
    """What the updates print with the compiler's guards, and without."""
    return [
        subprocess.run(
            [sys.executable, "-c", UPDATES, *how], check=True, capture_output=True, text=True
        ).stdout.splitlines()
        for how in ((), ("spared",))
    ]


def test_the_compiler_is_not_imported(printed):
    """Else this module has no use: then torch imports it elsewhere, or no more at all."""
    guarded, spared = printed
    assert (guarded[-1], spared[-1]) == ("True", "False")


def test_updates_are_the_same(printed):
    """Bit for bit."""
    guarded, spared = printed
    assert guarded[:-1] == spared[:-1]
    assert len(spared) == 4
