"""Self-distillation: its losses and its task."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from tessera.models.dino_head import DINOHead
from tessera.models.vit import VisionTransformer, ViTConfig
from tessera.train.augment import ViewConfig
from tessera.train.dino import DINOSettings, DINOTask
from tessera.train.distillation import (
    cross_entropy,
    entropy,
    masked_mean,
    random_masks,
    sinkhorn,
)
from tessera.train.loop import seed_update

VIEWS = ViewConfig(size=16, scale=(0.6, 1.0), flip=0.0, blur_probability=0.0)
SETTINGS = DINOSettings(
    steps=6, batch=4, global_views=VIEWS, warmup=2, hidden=16, bottleneck=8, prototypes=10
)


def task(settings: DINOSettings = SETTINGS) -> DINOTask:
    torch.manual_seed(0)
    config = ViTConfig(16, 4, width=12, depth=2, heads=2, registers=1, layer_scale=None)
    images = torch.randint(256, (10, 3, 16, 16), dtype=torch.uint8)
    return DINOTask(VisionTransformer(config), images, settings)


def run(trained: DINOTask, first: int, last: int) -> dict[str, torch.Tensor]:
    for step in range(first, last):
        seed_update(0, step)
        metrics = trained.update(step)
    return metrics


def test_sinkhorn_of_a_two_by_two() -> None:
    """The balanced matrix with the same odds ratio: for odds 9 the shares are 3/4 and 1/4."""
    scores = 0.5 * torch.tensor([[math.log(9.0), 0.0], [0.0, 0.0]])
    expected = torch.tensor([[0.75, 0.25], [0.25, 0.75]])
    torch.testing.assert_close(sinkhorn(scores, 0.5, iterations=50), expected)


def test_sinkhorn_balances() -> None:
    """Rows sum to 1 exactly; after some rounds all prototypes get the same share."""
    torch.manual_seed(0)
    targets = sinkhorn(torch.randn(40, 8), 0.5, iterations=50)
    torch.testing.assert_close(targets.sum(1), torch.ones(40))
    torch.testing.assert_close(targets.sum(0), torch.full((8,), 5.0), rtol=1e-4, atol=0)
    torch.testing.assert_close(sinkhorn(torch.randn(40, 8), 0.01).sum(1), torch.ones(40))


def test_cross_entropy_closed_forms() -> None:
    """Equal scores cost log P; a sure target costs its own log probability."""
    uniform = torch.full((1, 4), 0.25)
    assert cross_entropy(uniform, torch.zeros(1, 4), 0.1).item() == pytest.approx(math.log(4))
    scores = 0.1 * torch.tensor([[math.log(3.0), 0.0]])
    sure = torch.tensor([[1.0, 0.0]])
    assert cross_entropy(sure, scores, 0.1).item() == pytest.approx(math.log(4 / 3))
    assert entropy(uniform).item() == pytest.approx(math.log(4))
    assert entropy(sure).item() == 0


def test_masked_mean() -> None:
    """The mean is over images first: each image with a mask counts the same."""
    losses = torch.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0], [5.0, 5.0, 5.0]])
    mask = torch.tensor([[True, False, True], [False, True, False], [False, False, False]])
    assert masked_mean(losses, mask) == (2 + 20) / 2
    assert masked_mean(losses, torch.zeros_like(mask)) == 0


def test_masks() -> None:
    """Counts lie in their range, about half of the images are masked, places are uniform."""
    torch.manual_seed(0)
    mask = random_masks(4000, 16, (0.25, 0.5), 0.5, torch.device("cpu"))
    counts = mask.sum(1)
    chosen = counts > 0
    assert set(counts[chosen].tolist()) == {4, 5, 6, 7, 8}
    assert chosen.float().mean() == pytest.approx(0.5, abs=0.03)
    places = mask[chosen].float().mean(0)
    torch.testing.assert_close(places, torch.full((16,), 6 / 16), rtol=0, atol=0.04)
    all_but_one = random_masks(9, 4, (1.0, 1.0), 1.0, torch.device("cpu"))
    assert (all_but_one.sum(1) == 3).all()


def test_head_gives_cosines() -> None:
    """Scores do not depend on the length of a prototype and lie in [-1, 1]."""
    torch.manual_seed(0)
    head, x = DINOHead(6, 8, 4, 5), torch.randn(7, 6)
    scores = head(x)
    with torch.no_grad():
        head.prototypes.weight.mul_(3.0)
    torch.testing.assert_close(head(x), scores)
    assert scores.abs().max() <= 1
    with torch.no_grad():
        head.prototypes.weight[0] = head.fc3(
            torch.nn.functional.gelu(head.fc2(torch.nn.functional.gelu(head.fc1(x[0]))))
        )
    assert head(x)[0, 0].item() == pytest.approx(1.0)


def test_class_loss_learns_from_the_other_view() -> None:
    """With targets that know their view, only the swapped pairing is cheap."""
    trained = task()
    targets = torch.zeros(8, 10)
    targets[:4, 0] = targets[4:, 1] = 1.0
    scores = torch.zeros(8, 10)
    scores[:4, 1] = scores[4:, 0] = 1.0
    batch = torch.zeros(4, 3, 16, 16)
    # e^10 against nine times e^0.
    expected = math.log(1 + 9 * math.exp(-10))
    found = trained.class_loss(targets, scores, batch).item()
    assert found == pytest.approx(expected, rel=1e-3)


def test_local_views_weigh_as_much_as_their_pairs() -> None:
    """One local view makes 2 of 4 pairs."""
    local = replace(VIEWS, size=8)
    trained = task(replace(SETTINGS, locals=1, local_views=local))
    head = trained.student.class_head
    torch.nn.init.zeros_(head.fc3.weight)
    torch.nn.init.ones_(head.fc3.bias)
    torch.nn.init.ones_(head.prototypes.weight)  # every score is 1: each local pair costs log 10
    targets = torch.full((8, 10), 0.1)
    scores = torch.zeros(8, 10)
    scores[:, 0] = 1.0
    swapped = cross_entropy(targets, scores, 0.1).mean().item()
    batch = torch.zeros(4, 3, 16, 16)
    found = trained.class_loss(targets, scores, batch).item()
    assert found == pytest.approx((swapped + math.log(10)) / 2)


def test_local_views_and_their_number_go_together() -> None:
    """A number of local views without their settings is refused, and the other way round."""
    with pytest.raises(ValueError, match="go together"):
        replace(SETTINGS, locals=2)


def test_teacher_is_the_average_of_the_student() -> None:
    """After the first update the teacher is m old + (1 - m) new, with m of the settings."""
    trained = task()
    before = {k: v.clone() for k, v in trained.teacher.state_dict().items()}
    run(trained, 0, 1)
    student = trained.student.state_dict()
    for name, value in trained.teacher.state_dict().items():
        expected = SETTINGS.momentum * before[name] + (1 - SETTINGS.momentum) * student[name]
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-7)
    assert not any(p.requires_grad for p in trained.encoder.parameters())


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


def test_resumed_run_is_the_undisturbed_one() -> None:
    """Saved after 3 of 6 updates and loaded into a fresh task, the end is the same bit for bit."""
    settings = replace(SETTINGS, locals=2, local_views=replace(VIEWS, size=8))
    whole = task(settings)
    run(whole, 0, 6)
    first = task(settings)
    run(first, 0, 3)
    second = task(settings)
    second.load_state_dict(first.state_dict())
    run(second, 3, 6)
    assert same(second.state_dict(), whole.state_dict())


def test_training_learns() -> None:
    """The losses of patches fall below those of guessing, log P."""
    settings = replace(SETTINGS, steps=60, batch=10, learning_rate=5e-3, momentum=0.8)
    trained = task(settings)
    metrics = run(trained, 0, 60)
    assert metrics["visible_patch_loss"] < 0.8 * math.log(10)
    assert all(value.ndim == 0 and not value.requires_grad for value in metrics.values())


def test_weight_decay_falls_on_matrices_alone() -> None:
    """Biases, norms, tokens and positions are left in peace."""
    trained = task()
    decayed = {id(p) for p in trained.optimizer.param_groups[0]["params"]}
    names = {n for n, p in trained.student.named_parameters() if id(p) in decayed}
    assert names
    assert all(n.endswith("weight") and "norm" not in n for n in names)
