"""The capture of what a GPU is told to do, as a CUDA graph."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def captured(pool: Any = None) -> Iterator[torch.cuda.CUDAGraph]:
    """What is launched within is recorded in the graph that this gives, and not run.

    Other threads may go on using the GPU meanwhile.

    Args:
        pool: memory that graphs share, see `torch.cuda.graph_pool_handle`; None is its own.

    Raises:
        RuntimeError: it cannot be recorded. The stream that was current before is so again, which
            torch 2.11 by itself forgets where a capture fails.
    """
    graph = torch.cuda.CUDAGraph()
    with (
        torch.cuda.stream(torch.cuda.current_stream()),
        torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"),
    ):
        yield graph
