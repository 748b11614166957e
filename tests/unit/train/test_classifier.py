"""Training of the classifier that serves as feature extractor."""

import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor

from tessera.errors import UserError
from tessera.models.classifier import Classifier, ClassifierConfig
from tessera.train.classifier import ClassifierRecipe, accuracy, classifier_task, shift


def digits() -> tuple[Tensor, Tensor]:
    """scikit-learn's digits as uint8 [1797, 3, 32, 32], with labels."""
    data = load_digits()
    grey = torch.tensor(data.images, dtype=torch.float32)[:, None] / 16
    large = F.interpolate(grey, size=(32, 32), mode="bicubic", align_corners=False).clamp(0, 1)
    return (255 * large).round().byte().expand(-1, 3, -1, -1), torch.tensor(data.target)


def stripes(count: int) -> tuple[Tensor, Tensor]:
    """Two classes that a shift leaves alone: horizontal and vertical stripes."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(count) % 2
    lines = torch.randint(0, 256, (count, 16), generator=generator).byte()
    rows, columns = lines[:, :, None].expand(-1, -1, 16), lines[:, None].expand(-1, 16, -1)
    images = torch.where(labels[:, None, None] == 0, rows, columns)
    return images[:, None].expand(-1, 3, -1, -1), labels


def trained(recipe: ClassifierRecipe, images: Tensor, labels: Tensor) -> Classifier:
    """A classifier after all updates of a recipe."""
    torch.manual_seed(recipe.seed)
    model = Classifier(ClassifierConfig(image_size=images.shape[2]))
    task = classifier_task(model, recipe, images, labels)
    for step in range(recipe.steps):
        torch.manual_seed(step)
        task.update(step)
    return model.eval()


def test_shift_against_loops() -> None:
    """The shift equals reading pixel by pixel with clamped coordinates."""
    images = torch.arange(2 * 3 * 4 * 5).view(2, 3, 4, 5).byte()
    offsets = torch.tensor([[1, -2], [0, 3]])
    expected = torch.empty_like(images)
    for image, (down, right) in enumerate(offsets.tolist()):
        for row in range(4):
            for column in range(5):
                source = min(max(row - down, 0), 3), min(max(column - right, 0), 4)
                expected[image, :, row, column] = images[image, :, source[0], source[1]]
    assert torch.equal(shift(images, offsets), expected)


def test_it_learns_and_repeats_itself() -> None:
    """A few updates separate easy classes of unseen images, with equal weights on a rerun."""
    images, labels = stripes(96)
    recipe = ClassifierRecipe(steps=40, batch=32, warmup=4)
    model, again = (trained(recipe, images[:64], labels[:64]) for _ in range(2))
    assert accuracy(model, images[64:], labels[64:]) >= 0.9
    assert all(torch.equal(model.state_dict()[k], v) for k, v in again.state_dict().items())


def test_update_reports_detached_scalars() -> None:
    """An update follows the training protocol."""
    images, labels = stripes(8)
    model = Classifier(ClassifierConfig(image_size=16))
    report = classifier_task(model, ClassifierRecipe(batch=8), images, labels).update(0)
    assert {"loss", "accuracy"} <= set(report)
    assert all(value.ndim == 0 and not value.requires_grad for value in report.values())


@pytest.mark.slow
def test_digits_reach_97_percent() -> None:
    """The default recipe reads at least 97 % of 360 unseen digits."""
    images, labels = digits()
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    train, val = order[:1437], order[1437:]
    model = trained(ClassifierRecipe(), images[train], labels[train])
    assert accuracy(model, images[val], labels[val]) >= 0.97


def test_accuracy_counts() -> None:
    """Accuracy is the share of right answers, whatever the batch."""
    images, _ = stripes(10)
    model = Classifier(ClassifierConfig(image_size=16))
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.copy_(torch.arange(10.0))  # always says 9
    labels = torch.tensor([9, 0, 9, 1, 2, 3, 4, 5, 6, 9])
    assert accuracy(model, images, labels, batch=3) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("count", "labels", "message"),
    [(0, [], "empty"), (3, [0, 1], "3 images but 2 labels"), (2, [0, 10], "from 0 to 10")],
)
def test_bad_sets_are_refused(count: int, labels: list[int], message: str) -> None:
    """Empty sets, missing labels and unknown classes are the user's to mend."""
    images = torch.zeros(count, 3, 16, 16, dtype=torch.uint8)
    model = Classifier(ClassifierConfig(image_size=16))
    with pytest.raises(UserError, match=message):
        classifier_task(model, ClassifierRecipe(), images, torch.tensor(labels, dtype=torch.long))
