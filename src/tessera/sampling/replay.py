"""Steps on static buffers, recorded as CUDA graphs: a replay costs the processor next to nothing.

A step of a decoder is about 200 kernels of a few microseconds, which Python launches more slowly
than a GPU runs them.
"""

import logging
from collections.abc import Callable, Sequence

import torch

from tessera.nn.capture import captured

log = logging.getLogger(__name__)

STEPS = 16
"""Steps a graph. Each capture first waits for the GPU and gives unused memory back to it, which
takes as long as many launches."""

Step = Callable[[int], None]


def record(step: Step, positions: Sequence[int]) -> Callable[[], None] | None:
    """Records the steps for these positions, in their order, without running them.

    Each position is recorded by itself, so that it reads as much of a cache as it needs; the graphs
    share one pool of memory. What the steps launch must have run before: a capture can neither load
    kernels nor make handles.

    Args:
        step: What is done at a position, on the GPU alone, in place and without waiting for it.
        positions: What it is called with.

    Returns:
        What replays all of them; None, with a reason in the log, where they cannot be recorded.

    Raises:
        torch.OutOfMemoryError: The GPU has no room for them.
    """
    pool = torch.cuda.graph_pool_handle()
    graphs: list[torch.cuda.CUDAGraph] = []
    try:
        for first in range(0, len(positions), STEPS):
            with captured(pool) as graph:
                for position in positions[first : first + STEPS]:
                    step(position)
            graphs.append(graph)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        log.warning("the decoding steps run one by one, they cannot be recorded: %s", error)
        return None

    def replay() -> None:
        for graph in graphs:
            graph.replay()

    return replay
