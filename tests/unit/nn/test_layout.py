"""A change of memory layout and of nothing else."""

import torch
from torch import nn

from tessera.nn.layout import store_columns_first


def test_values_names_shapes_and_results_stay() -> None:
    """The state-dict is equal, the product agrees, and the columns are contiguous."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Sequential(nn.Linear(6, 4)))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    x = torch.randn(3, 8)
    expected = module(x)
    store_columns_first(module)
    after = module.state_dict()
    assert list(after) == list(before)
    for name, value in after.items():
        assert torch.equal(value, before[name])
        assert value.dim() == 1 or value.stride() == (1, len(value))
    torch.testing.assert_close(module(x), expected)
    module(x).sum().backward()
    assert module[0].weight.grad is not None
