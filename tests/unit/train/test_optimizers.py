"""AdamW against its formula (Loshchilov and Hutter, arXiv 1711.05101, algorithm 2).

Eps is where fairseq's Adam has it: beside the root of the second moment before its correction.
"""

import numpy as np
import pytest
import torch
from torch import nn

from tessera.train.optimizers import adamw, set_update

RATES = [1e-7, 1e-2, 3e-3, 0.0, 5e-3]


class Oracle:
    """AdamW for one array in float64."""

    def __init__(self, weight: np.ndarray, betas: tuple[float, float], eps: float, decay: float):
        self.weight, self.betas, self.eps, self.decay = weight.astype(float), betas, eps, decay
        self.mean, self.square, self.count = np.zeros_like(weight), np.zeros_like(weight), 0

    def step(self, gradient: np.ndarray, rate: float) -> None:
        (b1, b2), self.count = self.betas, self.count + 1
        self.weight = self.weight - rate * self.decay * self.weight
        self.mean = b1 * self.mean + (1 - b1) * gradient
        self.square = b2 * self.square + (1 - b2) * gradient**2
        size = rate * np.sqrt(1 - b2**self.count) / (1 - b1**self.count)
        self.weight = self.weight - size * self.mean / (np.sqrt(self.square) + self.eps)


@pytest.mark.parametrize("decay", [0.0, 0.01, 0.5])
@pytest.mark.parametrize(("betas", "eps"), [((0.9, 0.98), 1e-8), ((0.5, 0.9), 0.1)])
def test_every_tensor_follows_the_formula(betas, eps, decay):
    """Matrices, biases and norms alike, under a rate that changes and is 0 once.

    An eps as large as the gradients tells the two places of eps apart.
    """
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4)).double()
    optimizer = adamw(model.parameters(), betas, eps, decay)
    oracles = {n: Oracle(p.detach().numpy(), betas, eps, decay) for n, p in _named(model)}
    for step, rate in enumerate(RATES):
        for name, parameter in _named(model):
            parameter.grad = torch.randn_like(parameter)
            oracles[name].step(parameter.grad.numpy(), rate)
        set_update(optimizer, step, rate)
        optimizer.step()
    for name, parameter in _named(model):
        np.testing.assert_allclose(parameter.detach().numpy(), oracles[name].weight, rtol=1e-12)


def _named(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return list(model.named_parameters())


def test_decay_alone():
    """Without a gradient to speak of, biases shrink by (1 - rate decay) an update, as all else."""
    model = nn.Linear(2, 2)
    with torch.no_grad():
        model.weight.fill_(1.0)
        model.bias.fill_(1.0)
    optimizer = adamw(model.parameters(), weight_decay=0.1)
    set_update(optimizer, 0, 0.5)
    for _ in range(3):
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
    for parameter in model.parameters():
        torch.testing.assert_close(parameter.data, torch.full_like(parameter, 0.95**3))


def test_one_group_of_all_tensors():
    """Nothing is spared the decay, as in the original's trainer."""
    model = nn.Sequential(nn.Embedding(5, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    (group,) = adamw(model.parameters()).param_groups
    assert len(group["params"]) == len(list(model.parameters()))
    assert group["weight_decay"] == 0.01
    assert tuple(group["betas"]) == (0.9, 0.98)


def test_the_rate_of_every_group():
    """Set at once for all of them; the eps of other optimisers stays as it is."""
    layers = [nn.Linear(1, 1), nn.Linear(1, 1)]
    groups = [{"params": layer.parameters()} for layer in layers]
    optimizer = torch.optim.AdamW(groups, lr=1.0, eps=1e-3)
    set_update(optimizer, 0, 0.25)
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.25]
    assert [group["eps"] for group in optimizer.param_groups] == [1e-3, 1e-3]


def test_eps_goes_on_after_a_resumption(tmp_path):
    """A state put back in the middle leaves eps a function of the update, not of the state."""

    def update(model: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
        model.weight.grad = torch.full_like(model.weight, 0.1 * (step + 1))
        set_update(optimizer, step, 1e-2)
        optimizer.step()

    whole, cut = (nn.Linear(2, 1, bias=False) for _ in range(2))
    cut.load_state_dict(whole.state_dict())
    optimizer = adamw(whole.parameters(), eps=0.1)
    for step in range(4):
        update(whole, optimizer, step)
    optimizer = adamw(cut.parameters(), eps=0.1)
    for step in range(2):
        update(cut, optimizer, step)
    torch.save(optimizer.state_dict(), tmp_path / "state.pt")
    optimizer = adamw(cut.parameters(), eps=0.1)
    optimizer.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for step in range(2, 4):
        update(cut, optimizer, step)
    assert torch.equal(whole.weight, cut.weight)
