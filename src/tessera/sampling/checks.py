"""What the sampling engines ask of their arguments."""

import torch
from torch import Tensor, nn

from tessera.errors import UserError


def check_engine_inputs(model: nn.Module, uniforms: Tensor, shape: tuple[int, ...]) -> None:
    """Raise unless the model is in eval mode and the uniforms are [B >= 1, *shape].

    Raises:
        UserError: If the uniforms have another shape.
        ValueError: If dropout would be on.
    """
    if model.training:
        raise ValueError("call model.eval() before sampling, or dropout changes the samples")
    if tuple(uniforms.shape[1:]) != shape or uniforms.shape[0] == 0:
        wanted = ", ".join(["batch", *map(str, shape)])
        raise UserError(
            f"The uniform numbers have the shape {tuple(uniforms.shape)}; "
            f"this model and schedule need [{wanted}]."
        )


def compute_dtype(weight: Tensor) -> torch.dtype:
    """Precision in which a layer with this weight computes here: autocast's, if that is on."""
    kind = weight.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype
