"""Tensors on their way to a GPU, without a wait for what it still does."""

import torch
from torch import Tensor


def sent(tensor: Tensor, device: torch.device | str) -> Tensor:
    """The tensor on a device; the host goes on at once."""
    device = torch.device(device)
    if device.type != "cuda" or tensor.is_cuda:
        return tensor.to(device)
    # From memory that may be swapped out, or as an index as it is, torch would wait.
    return tensor.contiguous().pin_memory().to(device, non_blocking=True)
