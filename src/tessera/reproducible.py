"""How torch computes in every stage: the same bits each time, and float32 as float32."""

import os

import torch

from tessera.uncompiled import spare_compiler


def compute_reproducibly(threads: int) -> None:
    """Settles it for this process; to be called before CUDA starts.

    Args:
        threads: those of an operation on the processor.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    spare_compiler()
    torch.set_num_threads(threads)
    # As `use_deterministic_algorithms(True)`, which would import torch's compiler for it: 2 s.
    torch.set_deterministic_debug_mode("error")
    # Else all memory that is allocated is written once more: 3 % of a training step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    # torch lets convolutions round to TF32 unless told not to.
    torch.backends.cudnn.allow_tf32 = False
