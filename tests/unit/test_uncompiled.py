"""Libraries without torch's compiler: nothing imports it, and what they do is their own."""

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


METRICS = """
import sys
import tessera.metrics.fidelity
print("torch._dynamo" in sys.modules)
from torchvision.ops import roi_align
import torch
image, box = torch.arange(16.0).reshape(1, 1, 4, 4), torch.tensor([[0.0, 0.0, 0.0, 2.0, 2.0]])
print(roi_align(image, box, 1, aligned=True).item())
import torch._dynamo.utils
print(torch._dynamo.utils.is_compile_supported("cpu"))
"""


def test_metrics_do_not_import_the_compiler():
    """And torchvision's operators, which take a function from it, work all the same."""
    printed = subprocess.run(
        [sys.executable, "-c", METRICS], check=True, capture_output=True, text=True
    ).stdout.split()
    # The mean of the four pixels 0, 1, 4, 5: box and pixels have their corners in common.
    assert printed == ["False", "2.5", "True"]


def test_a_deferred_function_is_the_compilers_own():
    """It is imported at the call, even while what defers it still lasts."""
    program = """
import sys
import torch
from tessera.uncompiled import deferred_compiler
with deferred_compiler():
    from torch._dynamo.utils import is_compile_supported
    print(is_compile_supported("cpu"))
import torch._dynamo
print(torch._dynamo.__file__ is not None, hasattr(torch._dynamo, "optimize"))
"""
    printed = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.split()
    assert printed == ["True", "True", "True"]
