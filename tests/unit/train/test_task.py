"""One update of a model with one optimiser."""

import pytest
import torch
from torch import Tensor, nn

from tessera.train.ema import Ema
from tessera.train.optimizers import adamw
from tessera.train.task import GradientTask


def make_model(seed: int = 0, dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 8), nn.GELU(), nn.Dropout(dropout), nn.Linear(8, 2))


def batch_of(step: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    return torch.randn(12, 3, generator=generator), torch.randn(12, 2, generator=generator)


def make_task(accumulate: int = 1, dropout: float = 0.0, **options) -> GradientTask:
    """Regression on random batches, in as many pieces as asked for."""
    model = make_model(dropout=dropout)

    def loss(network: nn.Module, step: int, micro: int) -> dict[str, Tensor]:
        inputs, targets = (whole.chunk(accumulate)[micro] for whole in batch_of(step))
        error = network(inputs) - targets
        return {"loss": error.square().mean(), "bias": error.detach().mean()}

    return GradientTask(
        model, loss, adamw(model.parameters()), lambda step: 1e-2 / (step + 1),
        accumulate=accumulate, **options,
    )  # fmt: skip


@pytest.mark.parametrize("pieces", [2, 3, 12])
def test_micro_batches_equal_the_whole_batch(pieces):
    """Weights, loss, other terms and the norm, to 1e-6."""
    whole, cut = make_task(), make_task(pieces)
    for step in range(5):
        expected, found = whole.update(step), cut.update(step)
        for name in expected:
            assert float(found[name]) == pytest.approx(float(expected[name]), abs=1e-6), name
    for a, b in zip(whole.model.parameters(), cut.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=0)


def test_metrics_are_detached_scalars():
    """Each is one number without a graph, so that logging holds no memory and no device waits."""
    metrics = make_task(2).update(4)
    assert metrics.keys() == {"loss", "bias", "gradient_norm", "learning_rate"}
    assert all(value.shape == () and not value.requires_grad for value in metrics.values())
    assert float(metrics["learning_rate"]) == pytest.approx(1e-2 / 5)


def test_the_rate_is_that_of_the_update():
    """With a rate of 0 nothing moves; the schedule is asked for this very update."""
    asked = []
    task = make_task()
    task.schedule = lambda step: asked.append(step) or 0.0
    before = [p.detach().clone() for p in task.model.parameters()]
    task.update(7)
    assert asked == [7]
    assert all(torch.equal(a, b) for a, b in zip(before, task.model.parameters(), strict=True))


class Fixed(nn.Module):
    """A weight of which the loss is g . w, so that its gradient is g."""

    def __init__(self, gradient: list[float]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(len(gradient)))
        self.gradient = torch.tensor(gradient)

    def forward(self) -> Tensor:
        return self.weight @ self.gradient


def descend(clip: float | None) -> tuple[Tensor, float]:
    """One plain gradient step of rate 1 on a gradient of norm 5; the step and the norm told."""
    model = Fixed([3.0, 4.0])
    task = GradientTask(
        model, lambda network, step, micro: {"loss": network()},
        torch.optim.SGD(model.parameters()), lambda step: 1.0, clip=clip,
    )  # fmt: skip
    norm = float(task.update(0)["gradient_norm"])
    return model.weight.detach(), norm


@pytest.mark.parametrize("first", [0, 9])
def test_eps_is_where_fairseq_has_it(first):
    """Beside the uncorrected root: rate sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt v + eps) at update t.

    An eps of 2 beside gradients of 3 and 4 shows where it stands, also in a later update.
    """
    model, rate, eps = Fixed([3.0, 4.0]), 0.5, 2.0
    optimizer = adamw(model.parameters(), (0.9, 0.98), eps, 0.0)
    task = GradientTask(
        model, lambda network, step, micro: {"loss": network()}, optimizer,
        lambda step: rate if step == first else 0.0,
    )  # fmt: skip
    for step in range(first + 1):
        task.update(step)
    gradient, t = model.gradient, first + 1  # constant, so m = (1 - b1^t) g, v = (1 - b2^t) g^2
    root = (1 - 0.98**t) ** 0.5
    expected = -rate * root * gradient / (root * gradient + eps)
    torch.testing.assert_close(model.weight.detach(), expected, atol=1e-6, rtol=0)


def test_clipping():
    """A gradient of norm 5 is scaled to norm 1; the norm that is told is that before."""
    moved, norm = descend(1.0)
    assert norm == pytest.approx(5.0)
    torch.testing.assert_close(moved, -torch.tensor([0.6, 0.8]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("clip", [None, 5.1])
def test_no_clipping(clip):
    """Switched off, or above the norm: the gradient is left as it is, and still measured."""
    moved, norm = descend(clip)
    assert norm == pytest.approx(5.0)
    assert torch.equal(moved, -torch.tensor([3.0, 4.0]))


def test_clipping_sees_the_sum_of_all_micro_batches():
    """Not each piece: two opposite pieces cancel before the norm is taken."""
    model = Fixed([3.0, 4.0])
    task = GradientTask(
        model, lambda network, step, micro: {"loss": (1, -1)[micro] * network()},
        torch.optim.SGD(model.parameters()), lambda step: 1.0, clip=1.0, accumulate=2,
    )  # fmt: skip
    assert float(task.update(0)["gradient_norm"]) == 0.0


def test_average_in_closed_form():
    """a_n = d^n w_0 + (1 - d) sum of d^(n-i) w_i, for weights 1, 2, 3, 4 and d = 0.9."""
    model = nn.Linear(1, 1, bias=False)
    weights = [1.0, 2.0, 3.0, 4.0]
    model.weight.data.fill_(weights[0])
    ema = Ema(model, 0.9)
    for weight in weights[1:]:
        model.weight.data.fill_(weight)
        ema.update(model)
    n = len(weights) - 1
    expected = 0.9**n * weights[0] + sum(0.1 * 0.9 ** (n - i) * weights[i] for i in range(1, n + 1))
    assert float(ema.model.weight) == pytest.approx(expected, rel=1e-6)


def test_average_copies_buffers_and_needs_no_gradient():
    """Running statistics are no weights; the average is for use, not for training."""
    model = nn.BatchNorm1d(2)
    ema = Ema(model, 0.5)
    model.running_mean.fill_(3.0)
    ema.update(model)
    assert torch.equal(ema.model.running_mean, torch.full((2,), 3.0))
    assert not ema.model.training
    assert not any(p.requires_grad for p in ema.model.parameters())


def test_what_is_saved_of_a_training():
    """The average where there is one, the model where there is none."""
    model = make_task().model
    plain, averaged = make_task(), make_task()
    averaged.ema = Ema(averaged.model, 0.9)
    averaged.update(0)
    assert plain.trained() is plain.model
    assert averaged.trained() is averaged.ema.model
    for first, last, mean in zip(
        model.parameters(), averaged.model.parameters(), averaged.trained().parameters(),
        strict=True,
    ):  # fmt: skip
        torch.testing.assert_close(mean, 0.9 * first + 0.1 * last)


def test_a_state_put_back(tmp_path):
    """A fresh task goes on bit for bit from a state that went through a file."""

    def make() -> GradientTask:
        task = make_task(2, dropout=0.3)
        task.ema = Ema(task.model, 0.8)
        return task

    def update(task: GradientTask, step: int) -> None:
        torch.manual_seed(step)  # the loop's part: it seeds each update
        task.update(step)

    first = make()
    for step in range(3):
        update(first, step)
    torch.save(first.state_dict(), tmp_path / "state.pt")
    second = make()
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for task in (first, second):
        for step in range(3, 6):
            update(task, step)
    for a, b in ((first.model, second.model), (first.trained(), second.trained())):
        assert all(torch.equal(a.state_dict()[k], b.state_dict()[k]) for k in a.state_dict())


def test_dropout_is_on_in_updates():
    """Validation leaves the model in evaluation mode; the next update must not inherit it."""
    task = make_task(dropout=0.5)
    task.model.eval()
    task.update(0)
    assert task.model.training


def test_bfloat16_keeps_float32_weights():
    """The forward pass alone runs in bfloat16: close to float32, not equal."""
    exact, rough = make_task(), make_task(autocast=torch.bfloat16)
    expected, found = (float(task.update(0)["loss"]) for task in (exact, rough))
    assert found != expected
    assert found == pytest.approx(expected, rel=0.02)
    assert all(p.dtype == torch.float32 for p in rough.model.parameters())
