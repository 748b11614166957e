"""Trains the small classifier that serves as feature extractor on little images.

Cross entropy with mild augmentation by whole-pixel shifts; AdamW, one cosine from the peak to 0.
Shapes: N images, B batch, C channels, H height, W width.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tessera.data.batches import batch_indices
from tessera.errors import UserError
from tessera.models.classifier import Classifier
from tessera.train.schedules import cosine
from tessera.train.task import GradientTask


@dataclass(frozen=True)
class ClassifierRecipe:
    """How a `Classifier` is trained.

    Attributes:
        steps: optimiser updates.
        batch: images an update.
        learning_rate: peak of the cosine schedule.
        warmup: updates of linear warm-up.
        weight_decay: decoupled decay of AdamW, on every tensor.
        max_shift: largest shift of the augmentation, in pixels, each way.
        seed: seed of the data order.
    """

    steps: int = 300
    batch: int = 64
    learning_rate: float = 5e-3
    warmup: int = 20
    weight_decay: float = 0.01
    max_shift: int = 2
    seed: int = 0


def classifier_task(
    model: Classifier, recipe: ClassifierRecipe, images: Tensor, labels: Tensor
) -> GradientTask:
    """Binds a classifier and its training set to the training protocol.

    Args:
        model: the classifier, on the device of the training.
        recipe: how it is trained.
        images: uint8 [N, C, H, W], on any device.
        labels: int64 [N], 0 <= label < classes.

    Returns:
        A task whose update n reports `loss` (nats) and `accuracy` (share of the batch).

    Raises:
        UserError: the set is empty, counts differ, or a label is out of range.
    """
    _check(model, images, labels)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )

    def loss(network: nn.Module, step: int, micro: int) -> dict[str, Tensor]:
        device = next(network.parameters()).device
        index = batch_indices(len(images), recipe.batch, recipe.seed, step)
        batch = images[index.to(images.device)].to(device)
        target = labels[index.to(labels.device)].to(device)
        offsets = torch.randint(
            -recipe.max_shift, recipe.max_shift + 1, (len(batch), 2), device=device
        )
        logits = network(shift(batch, offsets).float() / 255)
        return {
            "loss": F.cross_entropy(logits, target),
            "accuracy": (logits.detach().argmax(1) == target).float().mean(),
        }

    def schedule(step: int) -> float:
        return cosine(step, recipe.learning_rate, recipe.warmup, recipe.steps, 0.0)

    return GradientTask(model, loss, optimizer, schedule, clip=1.0, ema=None)


def shift(images_BCHW: Tensor, offsets_B2: Tensor) -> Tensor:
    """Moves each image by whole pixels; what enters repeats the edge.

    Args:
        images_BCHW: images of any dtype.
        offsets_B2: int64 (down, right) of each image; negative moves up and left.

    Returns:
        Images of the same shape and dtype.
    """
    height, width = images_BCHW.shape[2:]
    device = images_BCHW.device
    rows_BH = torch.arange(height, device=device) - offsets_B2[:, :1]
    columns_BW = torch.arange(width, device=device) - offsets_B2[:, 1:]
    rows_BH = rows_BH.clamp(0, height - 1)
    columns_BW = columns_BW.clamp(0, width - 1)
    batch = torch.arange(len(images_BCHW), device=device)[:, None, None]
    moved_BHWC = images_BCHW.permute(0, 2, 3, 1)[batch, rows_BH[:, :, None], columns_BW[:, None]]
    return moved_BHWC.permute(0, 3, 1, 2).contiguous()


@torch.no_grad()
def accuracy(model: Classifier, images: Tensor, labels: Tensor, batch: int = 256) -> float:
    """Share of uint8 images [N, C, H, W] that the classifier assigns to their labels [N]."""
    _check(model, images, labels)
    device = next(model.parameters()).device
    correct = 0
    for part, target in zip(images.split(batch), labels.split(batch), strict=True):
        predicted = model.logits(part.to(device).float() / 255).argmax(1)
        correct += int((predicted == target.to(device)).sum())
    return correct / len(images)


def _check(model: Classifier, images: Tensor, labels: Tensor) -> None:
    """Refuses sets that cannot be trained on."""
    if len(images) == 0:
        raise UserError("the image set of the classifier is empty: name a data set with images")
    if len(images) != len(labels):
        raise UserError(
            f"the classifier got {len(images)} images but {len(labels)} labels: "
            "give each image one label"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= model.config.classes:
        raise UserError(
            f"the labels run from {low} to {high} but the classifier has {model.config.classes} "
            "classes: raise its number of classes or mend the labels"
        )
