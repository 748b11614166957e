"""The loss that never holds all logits, against the plain one that does."""

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tessera.nn import projection_loss
from tessera.nn.loss import symbol_cross_entropy
from tessera.nn.projection_loss import projected_cross_entropy

ROWS, WIDTH, SYMBOLS = (5, 13), 8, 37


def inputs(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    hidden = torch.randn(*ROWS, WIDTH, dtype=torch.float64).to(dtype).requires_grad_()
    weight = torch.randn(SYMBOLS, WIDTH, dtype=torch.float64).to(dtype).requires_grad_()
    return hidden, weight, torch.randint(SYMBOLS, ROWS), torch.rand(ROWS) < 0.6


@pytest.fixture(params=[(100, 1), (100, 64), (10**6, 1)], ids=["pieces", "padded", "whole"])
def pieces(request, monkeypatch):
    """Logits at once, and the alignment that a GPU has."""
    most, alignment = request.param
    monkeypatch.setitem(projection_loss.PIECE, "cpu", most)
    monkeypatch.setitem(projection_loss.ALIGNMENT, "cpu", alignment)


def plain(hidden: Tensor, weight: Tensor, *rest: object) -> Tensor:
    return symbol_cross_entropy(hidden @ weight.T, *rest)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 2e-6), (torch.bfloat16, 2e-2)])
def test_equals_the_plain_loss(pieces, smoothing, masked, dtype, error):
    """Loss and both gradients, to 2e-6 in float32; in bfloat16 to 2 % of the largest entry."""
    hidden, weight, targets, selected = inputs(dtype)
    rest = (targets, smoothing, selected if masked else None)
    expected = plain(hidden, weight, *rest)
    wanted = torch.autograd.grad(3 * expected, (hidden, weight))
    found = projected_cross_entropy(hidden, weight, *rest)
    got = torch.autograd.grad(3 * found, (hidden, weight))
    torch.testing.assert_close(found, expected, atol=error, rtol=error)
    for one, two in zip(got, wanted, strict=True):
        assert one.dtype == dtype
        assert float((one - two).abs().max()) <= error * max(1, float(two.abs().max()))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("most", [14, 10**6])
def test_gradients_are_those_of_the_value(monkeypatch, most, masked):
    """Against differences, in float64."""
    torch.manual_seed(0)
    hidden, weight = (torch.randn(n, 3, dtype=torch.float64, requires_grad=True) for n in (5, 7))
    targets, selected = torch.randint(7, (5,)), torch.tensor([1, 0, 1, 1, 0]).bool()
    monkeypatch.setitem(projection_loss.PIECE, "cpu", most)
    assert torch.autograd.gradcheck(
        lambda x, w: projected_cross_entropy(x, w, targets, 0.1, selected if masked else None),
        (hidden, weight),
    )


class Shapes(TorchDispatchMode):
    """Notes the most elements that a tensor of the vocabulary's width has."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else [result]:
            if isinstance(tensor, Tensor) and tensor.dim() and tensor.shape[-1] == SYMBOLS:
                self.most = max(self.most, tensor.numel())
        return result


def test_the_logits_never_exist_whole(monkeypatch):
    """No tensor of more logits than a piece has; the plain loss makes one of all."""
    monkeypatch.setitem(projection_loss.PIECE, "cpu", 300)
    hidden, weight, targets, _ = inputs()
    with Shapes() as shapes:
        projected_cross_entropy(hidden, weight, targets, 0.1).backward()
    # A piece, rounded up to whole positions; the transposed weight has no more.
    assert 0 < shapes.most <= max(300 + SYMBOLS, WIDTH * SYMBOLS)
    with Shapes() as shapes:
        plain(hidden, weight, targets, 0.1).backward()
    assert shapes.most == 5 * 13 * SYMBOLS


def test_autocast(pieces):
    """Products in bfloat16, float32 weights with float32 gradients: near the exact ones."""
    hidden, weight, targets, _ = inputs(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found = projected_cross_entropy(hidden, weight, targets, 0.1)
    got = torch.autograd.grad(found, (hidden, weight))
    expected = plain(hidden, weight, targets, 0.1)
    wanted = torch.autograd.grad(expected, (hidden, weight))
    assert found.dtype == torch.float32
    assert found.item() != expected.item()
    assert found.item() == pytest.approx(expected.item(), rel=0.01)
    for one, two in zip(got, wanted, strict=True):
        assert one.dtype == torch.float32
        assert float((one - two).abs().max()) <= 0.02 * float(two.abs().max())


def test_validation_makes_no_gradients(pieces, monkeypatch):
    """Without gradients wanted none is computed, and the value is the same."""
    hidden, weight, targets, selected = inputs()
    expected = projected_cross_entropy(hidden, weight, targets, 0.1, selected).detach()
    monkeypatch.delattr(projection_loss, "_gradient")
    for context in (torch.no_grad(), torch.inference_mode()):
        with context:
            found = projected_cross_entropy(hidden, weight, targets, 0.1, selected)
        assert torch.equal(found, expected)


def test_a_second_use_adds_up():
    """Two losses of one weight, as two micro-batches, give the sum of the gradients."""
    hidden, weight, targets, _ = inputs()
    first = projected_cross_entropy(hidden[:2], weight, targets[:2])
    (first + projected_cross_entropy(hidden[2:], weight, targets[2:])).backward()
    parts = [plain(hidden[:2], weight, targets[:2]), plain(hidden[2:], weight, targets[2:])]
    (expected,) = torch.autograd.grad(sum(parts), weight)
    torch.testing.assert_close(weight.grad, expected, atol=1e-6, rtol=0)
