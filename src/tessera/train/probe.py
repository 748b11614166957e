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

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tessera.errors import SharedError, UserError
from tessera.train.schedules import cosine

MOMENTUM = 0.9
INITIAL_STD = 0.01
NORM_EPS = 1e-6  # as in MAE

Batch = tuple[Tensor, Tensor]
"""Features, floats [L, B, D], and labels, int64 [B], 0 <= label < K."""


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


class ProbeTask:
    """The training of all layers' classifiers, for the loop that all trainings share.

    Args:
        draw: update → its batch; the features need not be the same objects twice, nor all in
            memory. A function of the update alone, or a resumed run would end elsewhere.
        layers: layers L.
        width: channels D.
        classes: number of classes K.
        steps: updates in all, the length of the cosine.
        learning_rate: start of the cosine.
        seed: seed of the initial weights; the global generator is left alone.
        batch_norm: whether features are batch-normalised first (see the module's description).
        device: where the probes are trained.
    """

    def __init__(
        self,
        draw: Callable[[int], Batch],
        layers: int,
        width: int,
        classes: int,
        steps: int,
        learning_rate: float = 0.4,
        seed: int = 0,
        batch_norm: bool = False,
        device: torch.device | str = "cpu",
    ) -> None:
        self.draw, self.steps, self.learning_rate = draw, steps, learning_rate
        self.device = torch.device(device)
        generator = torch.Generator().manual_seed(seed)
        draw_KD = INITIAL_STD * torch.randn(classes, width, generator=generator)
        weight_LKD = draw_KD.expand(layers, -1, -1).clone().to(self.device)
        self.weight_LKD = weight_LKD.requires_grad_()
        self.bias_LK = torch.zeros(layers, classes, device=self.device, requires_grad=True)
        self.norm = _BatchNorm(layers, width, self.device) if batch_norm else None
        parameters = [self.weight_LKD, self.bias_LK]
        self.optimizer = torch.optim.SGD(parameters, lr=learning_rate, momentum=MOMENTUM)

    def update(self, step: int) -> dict[str, Tensor]:
        """One update of all layers.

        Returns:
            `loss`: the mean over layers of their cross entropies, nats; the gradient is the sum's.

        Raises:
            UserError: a probe diverged.
        """
        x_LBD, target_B = self._inputs(self.draw(step), training=True)
        self.optimizer.param_groups[0]["lr"] = cosine(step, self.learning_rate, 0, self.steps, 0.0)
        self.optimizer.zero_grad(set_to_none=True)
        losses_L = _losses(x_LBD, target_B, self.weight_LKD, self.bias_LK).mean(1)
        _require_finite(losses_L.detach())
        losses_L.sum().backward()
        self.optimizer.step()
        return {"loss": losses_L.detach().mean()}

    @torch.no_grad()
    def validate(self, batches: Iterable[Batch]) -> ProbeResult:
        """Accuracies and losses of all layers over the batches of a validation set.

        Raises:
            UserError: no batch, or a probe diverged.
        """
        layers, classes = self.bias_LK.shape
        sums, count = torch.zeros(3, layers, dtype=torch.float64), 0
        for batch in batches:
            x_LBD, target_B = self._inputs(batch, training=False)
            scores_LBK = _logits(x_LBD, self.weight_LKD, self.bias_LK)
            hits_LBT = scores_LBK.topk(min(5, classes), dim=-1).indices == target_B[:, None]
            losses_LB = _losses(x_LBD, target_B, self.weight_LKD, self.bias_LK)
            sums[0] += hits_LBT[..., 0].sum(1).cpu()
            sums[1] += hits_LBT.any(-1).sum(1).cpu()
            sums[2] += losses_LB.double().sum(1).cpu()
            count += len(target_B)
        if not count:
            raise UserError("the probe's validation set is empty: give it at least one image")
        _require_finite(sums[2])
        accuracy, top5, loss = (sums / count).tolist()
        return ProbeResult(accuracy, top5, loss)

    def state_dict(self) -> dict[str, Any]:
        """Classifiers, momenta and, where there is one, what the normalisation remembers."""
        state = {"weight": self.weight_LKD.detach(), "bias": self.bias_LK.detach()}
        if self.norm is not None:
            state |= {"mean": self.norm.mean, "variance": self.norm.variance}
        return {"classifiers": state, "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Puts a saved state back."""
        saved = state["classifiers"]
        with torch.no_grad():
            self.weight_LKD.copy_(saved["weight"])
            self.bias_LK.copy_(saved["bias"])
        if self.norm is not None:
            self.norm.mean.copy_(saved["mean"])
            self.norm.variance.copy_(saved["variance"])
        self.optimizer.load_state_dict(state["optimizer"])

    def _inputs(self, batch: Batch, training: bool) -> Batch:
        x_LBD, target_B = batch[0].to(self.device).float(), batch[1].to(self.device)
        return (x_LBD if self.norm is None else self.norm(x_LBD, training)), target_B


def check_labels(labels: Tensor, classes: int, name: str) -> None:
    """Refuses labels that are no class.

    Args:
        labels: int64 [N], N > 0.
        classes: number of classes K.
        name: the set, for the message.

    Raises:
        UserError: a label is outside 0..K-1.
    """
    if int(labels.min()) < 0 or int(labels.max()) >= classes:
        raise UserError(
            f"a {name} label of the probe is outside 0..{classes - 1}: mend the labels or the "
            "number of classes"
        )


def _logits(x_LBD: Tensor, weight_LKD: Tensor, bias_LK: Tensor) -> Tensor:
    """Scores [L, B, K]."""
    return torch.baddbmm(bias_LK[:, None], x_LBD, weight_LKD.transpose(1, 2))


def _losses(x_LBD: Tensor, target_B: Tensor, weight_LKD: Tensor, bias_LK: Tensor) -> Tensor:
    """Cross entropies [L, B]."""
    logits_LBK = _logits(x_LBD, weight_LKD, bias_LK)
    targets_LB = target_B.expand(len(logits_LBK), -1)
    losses = F.cross_entropy(logits_LBK.flatten(0, 1), targets_LB.flatten(), reduction="none")
    return losses.view_as(targets_LB)


def _require_finite(losses_L: Tensor) -> None:
    """Raises SharedError where a layer's loss is no number."""
    if not losses_L.isfinite().all():
        broken = [layer for layer, fine in enumerate(losses_L.isfinite().tolist()) if not fine]
        raise SharedError(
            f"the linear probe of layers {broken} diverged: lower its learning rate or turn its "
            "batch_norm on"
        )


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
