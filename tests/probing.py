"""Linear probes of features that are in memory: what the probe of a stage is compared with."""

from torch import Tensor

from tessera.data.batches import batch_indices
from tessera.train.probe import Batch, ProbeResult, ProbeTask


def fit_probes(
    features_train: Tensor,
    labels_train: Tensor,
    features_val: Tensor,
    labels_val: Tensor,
    classes: int,
    steps: int,
    batch: int = 1024,
    learning_rate: float = 0.4,
    seed: int = 0,
    batch_norm: bool = False,
) -> ProbeResult:
    """Trains a linear classifier on each layer and validates it.

    Args:
        features_train: floats [L, N, D].
        labels_train: int64 [N], 0 <= label < K.
        features_val: floats [L, M, D].
        labels_val: int64 [M].
        classes: number of classes K.
        steps: updates.
        batch: images an update (the whole set if it is smaller).
        learning_rate: start of the cosine.
        seed: seed of initial weights and data order.
        batch_norm: whether features are batch-normalised first.
    """
    layers, count, width = features_train.shape
    batch = min(batch, count)

    def draw(step: int) -> Batch:
        index = batch_indices(count, batch, seed, step)
        return features_train[:, index], labels_train[index]

    task = ProbeTask(draw, layers, width, classes, steps, learning_rate, seed, batch_norm)
    for step in range(steps):
        task.update(step)
    return task.validate(
        zip(features_val.split(batch, dim=1), labels_val.split(batch), strict=True)
    )
