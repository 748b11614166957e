"""Linear probes of all layers at once.

One linear classifier for each layer, trained on frozen mean-pooled hidden states: SGD with momentum
0.9, no weight decay, cosine to 0, weights N(0, 0.01), biases 0, and the sum over layers of the mean
cross entropy (DiGIT; the layers' gradients do not meet, so one batched weight serves them all).

Deviations from the original: every layer starts from the SAME draw of weights, so a layer's result
does not depend on which others are probed with it. The option `batch_norm` (off by default) puts a
batch normalisation without affine parameters before the classifier, as MAE's probe does
(arXiv:2111.06377, appendix A.1), for features whose scale makes SGD at a large rate diverge.

Shapes: L layers, N and M images, B batch, D width, K classes.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tessera.data.batches import batch_indices
from tessera.errors import UserError
from tessera.train.schedules import cosine

MOMENTUM = 0.9
INITIAL_STD = 0.01
NORM_EPS = 1e-6  # as in MAE


@dataclass(frozen=True)
class ProbeResult:
    """Validation results, one entry a layer.

    Attributes:
        accuracy: top-1, share in [0, 1].
        top5: share with the label among the 5 largest scores (all classes if there are fewer).
        loss: mean cross entropy in nats.
    """

    accuracy: list[float]
    top5: list[float]
    loss: list[float]

    @property
    def best_layer(self) -> int:
        """The layer with the highest top-1 accuracy; the first of equals."""
        return self.accuracy.index(max(self.accuracy))


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
    device: torch.device | str | None = None,
) -> ProbeResult:
    """Trains a linear classifier on each layer and validates it.

    Args:
        features_train: floats [L, N, D], on any device.
        labels_train: int64 [N], 0 <= label < K.
        features_val: floats [L, M, D].
        labels_val: int64 [M].
        classes: number of classes K.
        steps: updates.
        batch: images an update (the whole set if it is smaller).
        learning_rate: start of the cosine.
        seed: seed of initial weights and data order; the global generator is left alone.
        batch_norm: whether features are batch-normalised first (see above).
        device: where the probes are trained; that of `features_train` by default.

    Raises:
        UserError: shapes do not fit, a set is empty, or a probe diverged.
    """
    _check(features_train, labels_train, features_val, labels_val, classes)
    layers, count, width = features_train.shape
    device = torch.device(device) if device is not None else features_train.device
    batch = min(batch, count)

    generator = torch.Generator().manual_seed(seed)
    draw_KD = INITIAL_STD * torch.randn(classes, width, generator=generator)
    weight_LKD = draw_KD.expand(layers, -1, -1).clone().to(device).requires_grad_()
    bias_LK = torch.zeros(layers, classes, device=device, requires_grad=True)
    norm = _BatchNorm(layers, width, device) if batch_norm else None
    optimizer = torch.optim.SGD([weight_LKD, bias_LK], lr=learning_rate, momentum=MOMENTUM)

    for step in range(steps):
        index = batch_indices(count, batch, seed, step)
        x_LBD = features_train[:, index.to(features_train.device)].to(device).float()
        target_B = labels_train[index.to(labels_train.device)].to(device)
        if norm is not None:
            x_LBD = norm(x_LBD, training=True)
        optimizer.param_groups[0]["lr"] = cosine(step, learning_rate, 0, steps, 0.0)
        optimizer.zero_grad(set_to_none=True)
        _losses(x_LBD, target_B, weight_LKD, bias_LK).mean(1).sum().backward()
        optimizer.step()

    with torch.no_grad():
        return _validate(features_val, labels_val, weight_LKD, bias_LK, norm, batch)


def _logits(x_LBD: Tensor, weight_LKD: Tensor, bias_LK: Tensor) -> Tensor:
    """Scores [L, B, K]."""
    return torch.baddbmm(bias_LK[:, None], x_LBD, weight_LKD.transpose(1, 2))


def _losses(x_LBD: Tensor, target_B: Tensor, weight_LKD: Tensor, bias_LK: Tensor) -> Tensor:
    """Cross entropies [L, B]."""
    logits_LBK = _logits(x_LBD, weight_LKD, bias_LK)
    targets_LB = target_B.expand(len(logits_LBK), -1)
    losses = F.cross_entropy(logits_LBK.flatten(0, 1), targets_LB.flatten(), reduction="none")
    return losses.view_as(targets_LB)


def _validate(
    features: Tensor,
    labels: Tensor,
    weight_LKD: Tensor,
    bias_LK: Tensor,
    norm: "_BatchNorm | None",
    batch: int,
) -> ProbeResult:
    """Accuracies and losses of all layers over the validation set."""
    layers, count, _ = features.shape
    top = min(5, bias_LK.shape[1])
    sums = torch.zeros(3, layers, dtype=torch.float64)
    for start in range(0, count, batch):
        x_LBD = features[:, start : start + batch].to(bias_LK.device).float()
        target_B = labels[start : start + batch].to(bias_LK.device)
        if norm is not None:
            x_LBD = norm(x_LBD, training=False)
        best_LBT = _logits(x_LBD, weight_LKD, bias_LK).topk(top, dim=-1).indices
        hits_LBT = best_LBT == target_B[:, None]
        losses_LB = _losses(x_LBD, target_B, weight_LKD, bias_LK)
        sums[0] += hits_LBT[..., 0].sum(1).cpu()
        sums[1] += hits_LBT.any(-1).sum(1).cpu()
        sums[2] += losses_LB.double().sum(1).cpu()
    accuracy, top5, loss = (sums / count).tolist()
    broken = [layer for layer in range(layers) if not torch.isfinite(sums[2, layer])]
    if broken:
        raise UserError(
            f"the linear probe of layers {broken} diverged: lower its learning rate or turn its "
            "batch_norm on"
        )
    return ProbeResult(accuracy, top5, loss)


class _BatchNorm:
    """Batch normalisation without affine parameters over features [L, B, D], as torch's."""

    def __init__(self, layers: int, width: int, device: torch.device) -> None:
        self.mean = torch.zeros(layers * width, device=device)
        self.variance = torch.ones(layers * width, device=device)

    def __call__(self, x_LBD: Tensor, training: bool) -> Tensor:
        """Normalises by the batch in training (and remembers), by what it remembers otherwise."""
        layers, batch, width = x_LBD.shape
        x = x_LBD.transpose(0, 1).reshape(batch, layers * width)
        x = F.batch_norm(x, self.mean, self.variance, training=training, momentum=0.1, eps=NORM_EPS)
        return x.view(batch, layers, width).transpose(0, 1)


def _check(
    features_train: Tensor,
    labels_train: Tensor,
    features_val: Tensor,
    labels_val: Tensor,
    classes: int,
) -> None:
    """Refuses sets that cannot be probed."""
    for name, features, labels in (
        ("training", features_train, labels_train),
        ("validation", features_val, labels_val),
    ):
        if features.ndim != 3 or features.shape[1] == 0 or features.shape[1] != len(labels):
            raise UserError(
                f"the probe's {name} features have shape {list(features.shape)} for {len(labels)} "
                "labels: give [layers, images, width] with one label for each image"
            )
        if int(labels.min()) < 0 or int(labels.max()) >= classes:
            raise UserError(
                f"a {name} label of the probe is outside 0..{classes - 1}: mend the labels or the "
                "number of classes"
            )
    if features_train.shape[::2] != features_val.shape[::2]:
        raise UserError(
            f"the probe's training features {list(features_train.shape)} and validation features "
            f"{list(features_val.shape)} differ in layers or width: take both from one model"
        )
