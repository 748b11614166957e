"""Linear probes of all layers at once."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from tests.probing import fit_probes
from torch import Tensor

from tessera.data.batches import batch_indices
from tessera.errors import UserError
from tessera.train.loop import StoppedError, fit
from tessera.train.probe import Batch, ProbeResult, ProbeTask, check_labels


def blobs(spread: list[float], count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Three classes around fixed centres in 6 dimensions, one layer for each spread."""
    centres = torch.randn(3, 6, generator=torch.Generator().manual_seed(9))
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (count,), generator=generator)
    noise = torch.randn(len(spread), count, 6, generator=generator)
    return centres[labels] + torch.tensor(spread)[:, None, None] * noise, labels


TRAIN, LABELS = blobs([0.1, 0.8, 2.0], 300, seed=1)
VAL, VAL_LABELS = blobs([0.1, 0.8, 2.0], 500, seed=2)


def probe(layers: slice = slice(None), **settings: object) -> ProbeResult:
    """The probe of some layers of the blobs."""
    options: dict = {"classes": 3, "steps": 400, "batch": 100, "learning_rate": 0.1} | settings
    return fit_probes(TRAIN[layers], LABELS, VAL[layers], VAL_LABELS, **options)


def test_against_logistic_regression() -> None:
    """Accuracy and loss of each layer agree with scikit-learn's unregularised optimum."""
    result = probe()
    for layer in range(3):
        oracle = LogisticRegression(C=1e4, max_iter=2000).fit(TRAIN[layer], LABELS)
        assert result.accuracy[layer] == pytest.approx(
            oracle.score(VAL[layer], VAL_LABELS), abs=0.02
        )
    assert result.accuracy[0] == 1.0
    assert result.accuracy[2] < 0.9
    assert result.best_layer == 0


def test_layers_do_not_see_each_other() -> None:
    """Probing a layer alone gives what probing all together gives."""
    together, alone = probe(steps=50), probe(slice(1, 2), steps=50)
    assert together.accuracy[1] == alone.accuracy[0]
    assert together.loss[1] == pytest.approx(alone.loss[0], rel=1e-5)


def test_first_updates_against_formulas() -> None:
    """Two updates equal SGD with momentum 0.9 and cosine rates, written out in float64."""
    draw = 0.01 * torch.randn(3, 6, generator=torch.Generator().manual_seed(5))
    weight, bias = draw.double(), torch.zeros(3, dtype=torch.float64)
    x, target = TRAIN[1].double(), torch.nn.functional.one_hot(LABELS, 3).double()
    speed_w, speed_b = torch.zeros_like(weight), torch.zeros_like(bias)
    for step in range(2):  # the batch is the whole set, so its order does not matter
        error = ((x @ weight.T + bias).softmax(1) - target) / len(x)
        speed_w = 0.9 * speed_w + error.T @ x
        speed_b = 0.9 * speed_b + error.sum(0)
        rate = 0.4 * (1 + math.cos(math.pi * step / 2)) / 2
        weight, bias = weight - rate * speed_w, bias - rate * speed_b
    scores = VAL[1].double() @ weight.T + bias
    loss = torch.nn.functional.cross_entropy(scores, VAL_LABELS).item()
    result = probe(slice(1, 2), steps=2, batch=300, learning_rate=0.4, seed=5)
    assert result.loss[0] == pytest.approx(loss, rel=1e-5)
    assert result.accuracy[0] == (scores.argmax(1) == VAL_LABELS).double().mean().item()


def test_no_update_leaves_chance() -> None:
    """Initial weights are so small that the loss starts at ln K."""
    assert probe(steps=0).loss[0] == pytest.approx(math.log(3), abs=0.05)


def test_top5_counts_the_five_best() -> None:
    """Each image scores its neighbours on a circle of classes by distance, so ranks are known."""
    classes = 9
    distance = (torch.arange(classes)[:, None] - torch.arange(classes)).abs()
    likeness = torch.exp(-0.7 * torch.minimum(distance, classes - distance).float())
    labels = torch.arange(classes)
    ranks = {0: (1.0, 1.0), 1: (0.0, 1.0), 2: (0.0, 1.0), 3: (0.0, 0.0), 4: (0.0, 0.0)}
    for offset, (top1, top5) in ranks.items():  # 2 classes at each distance: 5 within distance 2
        result = fit_probes(
            likeness[None],
            labels,
            likeness[None],
            (labels + offset) % classes,
            classes,
            steps=1,  # the first gradient orders the classes by likeness
            learning_rate=10.0,  # far above the initial weights
        )
        assert (result.accuracy, result.top5) == ([top1], [top5])


def test_top5_of_few_classes_is_one() -> None:
    """Of three classes the label is always among the five best."""
    assert probe(steps=1).top5 == [1.0, 1.0, 1.0]


def test_repeatable_and_global_generator_untouched() -> None:
    """Same seed, same numbers; another seed, others; torch's own generator is left alone."""
    before = torch.get_rng_state()
    assert probe(steps=20) == probe(steps=20)
    assert probe(steps=20) != probe(steps=20, seed=1)
    assert torch.equal(before, torch.get_rng_state())


def test_batch_norm_removes_scale_and_offset() -> None:
    """With batch normalisation an affine change of the features changes nothing to speak of."""
    settings: dict = {"classes": 3, "steps": 200, "batch": 100, "learning_rate": 0.1}
    plain = fit_probes(TRAIN, LABELS, VAL, VAL_LABELS, batch_norm=True, **settings)
    moved = fit_probes(
        50 * TRAIN + 7, LABELS, 50 * VAL + 7, VAL_LABELS, batch_norm=True, **settings
    )
    assert moved.loss == pytest.approx(plain.loss, rel=1e-2)
    assert plain.accuracy[0] == 1.0


def test_divergence_is_reported() -> None:
    """Features whose scale makes SGD diverge are named, with a remedy."""
    huge = 1e30 * TRAIN[:1]
    with pytest.raises(UserError, match="diverged: lower its learning rate"):
        fit_probes(huge, LABELS, huge, LABELS, 3, steps=20, batch=100)


@pytest.mark.parametrize("labels", [[0, 2], [-1, 0]])
def test_labels_that_are_no_class(labels: list[int]) -> None:
    """The user's to mend."""
    with pytest.raises(UserError, match=r"a training label of the probe is outside 0\.\.1"):
        check_labels(torch.tensor(labels), 2, "training")
    check_labels(torch.tensor([0, 1]), 2, "training")


def task(steps: int, batch_norm: bool = False, stop_after: int | None = None) -> ProbeTask:
    """The task of `probe`, its features cut out anew for each update."""

    def draw(step: int) -> Batch:
        if step == stop_after:
            raise StoppedError("killed")
        index = batch_indices(len(LABELS), 100, 0, step)
        return TRAIN[:, index].double(), LABELS[index]

    return ProbeTask(draw, 3, 6, 3, steps, learning_rate=0.1, batch_norm=batch_norm)


def validation(size: int) -> list[Batch]:
    """The validation set in batches."""
    return list(zip(VAL.split(size, dim=1), VAL_LABELS.split(size), strict=True))


@pytest.mark.parametrize("batch_norm", [False, True])
def test_drawn_features_equal_features_in_memory(tmp_path: Path, batch_norm: bool) -> None:
    """The loop over drawn batches gives what the whole set in memory gives, number for number."""
    drawn = task(40, batch_norm)
    assert fit(drawn, steps=40, seed=0, folder=tmp_path) == 0
    assert drawn.validate(validation(100)) == probe(steps=40, batch_norm=batch_norm)


def test_validation_does_not_depend_on_batches() -> None:
    """Sums over images: 500 in one batch, or in uneven ones."""
    made = task(20)
    for step in range(20):
        made.update(step)
    whole, cut = made.validate(validation(500)), made.validate(validation(37))
    assert (whole.accuracy, whole.top5) == (cut.accuracy, cut.top5)
    assert whole.loss == pytest.approx(cut.loss, rel=1e-6)


def test_the_logged_loss_is_the_mean_of_the_layers() -> None:
    """Each layer's loss as a formula, before the first update."""
    made = task(1)
    x, target = made.draw(0)
    weight = made.weight_LKD.detach().double()
    losses = [
        torch.nn.functional.cross_entropy(x[layer] @ weight[layer].T, target) for layer in range(3)
    ]
    assert float(made.update(0)["loss"]) == pytest.approx(float(sum(losses)) / 3, rel=1e-5)


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("stop", [1, 13, 29])
def test_resumed_equals_undisturbed(tmp_path: Path, stop: int, batch_norm: bool) -> None:
    """Killed anywhere, it goes on from its last checkpoint and ends bit for bit the same."""
    whole = task(30, batch_norm)
    options: dict[str, Any] = {"steps": 30, "seed": 0, "checkpoint_every": 4}
    fit(whole, folder=tmp_path / "whole", **options)
    with pytest.raises(StoppedError):
        fit(task(30, batch_norm, stop), folder=tmp_path / "killed", **options)
    again = task(30, batch_norm)
    assert fit(again, folder=tmp_path / "killed", **options) == stop // 4 * 4
    assert torch.equal(again.weight_LKD, whole.weight_LKD)
    assert torch.equal(again.bias_LK, whole.bias_LK)
    assert again.validate(validation(100)) == whole.validate(validation(100))


def test_a_state_of_another_probe(tmp_path: Path) -> None:
    """A checkpoint that does not fit is named, not half loaded."""
    fit(task(2), steps=2, seed=0, folder=tmp_path)
    other = ProbeTask(lambda step: (VAL[:2], VAL_LABELS), 2, 6, 3, 4)
    with pytest.raises(UserError, match="does not fit this training"):
        fit(other, steps=4, seed=0, folder=tmp_path)


def test_divergence_ends_the_training_at_once() -> None:
    """Not after the hours that the other updates would take."""
    made = ProbeTask(lambda step: (1e30 * TRAIN, LABELS), 3, 6, 3, 100_000)
    made.update(0)  # of the small initial weights
    with pytest.raises(UserError, match=r"layers \[0, 1, 2\] diverged: lower its learning rate"):
        made.update(1)


def test_an_empty_validation_set() -> None:
    """Nothing to divide by."""
    with pytest.raises(UserError, match="validation set is empty"):
        task(1).validate([])
