"""Cross-entropy over the symbols of sequences, with label smoothing.

Szegedy et al., "Rethinking the Inception Architecture" (arXiv:1512.00567), section 7.
"""

from torch import Tensor
from torch.nn import functional as F

_IGNORED = -100  # never a symbol: ids start at 0


def symbol_cross_entropy(
    logits: Tensor,
    targets: Tensor,
    label_smoothing: float = 0.0,
    selected: Tensor | None = None,
) -> Tensor:
    """Mean smoothed cross-entropy in nats, computed in float32.

    (1 - e) * mean(-log p[target]) + e * mean over positions and all V classes of -log p: the
    smoothing mass is uniform over every class, the target and the special symbols included.

    Args:
        logits: [..., V].
        targets: Long [...], in 0..V-1.
        label_smoothing: e, in [0, 1].
        selected: Bool [...]: the positions that count; all of them if absent. At least one must.

    Returns:
        A scalar.
    """
    if selected is not None:
        # Ignoring keeps all shapes static: gathering the selected rows would make a GPU wait.
        targets = targets.masked_fill(~selected, _IGNORED)
    return F.cross_entropy(
        logits.flatten(0, -2).float(),
        targets.flatten(),
        ignore_index=_IGNORED,
        label_smoothing=label_smoothing,
    )
