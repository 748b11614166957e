"""Tensors on their way to a GPU."""

import pytest
import torch

from tessera.nn.transfer import sent


def test_a_processor_takes_what_is_there() -> None:
    """Without a copy."""
    x = torch.arange(6)
    assert sent(x, "cpu").data_ptr() == x.data_ptr()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gets_the_numbers() -> None:
    """Those of a view too, and what lies there already stays where it is."""
    x = torch.arange(6).view(2, 3).T
    there = sent(x, "cuda")
    assert torch.equal(there.cpu(), x)
    assert sent(there, "cuda").data_ptr() == there.data_ptr()
