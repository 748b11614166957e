"""Pixels to the device and results back, without a wait for either.

A GPU does what it is told in order, and this process need not wait for it: pixels go up from pinned
memory, and a result is taken when the batch behind it is under way. On a CPU all this is nothing.
"""

import logging
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from tessera.nn.capture import captured
from tessera.nn.transfer import sent

log = logging.getLogger("tessera")

WARM_UPS = 2
"""Plain runs before the capture: libraries choose algorithms and take their memory in them."""


def upload(array: np.ndarray, device: str) -> Tensor:
    """An array on the device; for a GPU the copy runs while this process goes on."""
    return sent(torch.from_numpy(np.ascontiguousarray(array)), device)


def fetched(results: Iterable[Tensor]) -> Iterator[np.ndarray]:
    """Results as they come from the device, each taken when the next one is under way.

    Args:
        results: tensors on any device. Each may be written anew, as a replay does it, once the
            next one is asked for.
    """
    waiting: tuple[Tensor, torch.cuda.Event | None] | None = None
    for result in results:
        host = result.to("cpu", non_blocking=True)  # pinned, where it comes from a GPU
        event = None
        if result.is_cuda:
            event = torch.cuda.Event()
            event.record()
        if waiting is not None:
            yield _taken(*waiting)
        waiting = host, event
    if waiting is not None:
        yield _taken(*waiting)


def _taken(host: Tensor, event: torch.cuda.Event | None) -> np.ndarray:
    if event is not None:
        event.synchronize()
    return host.numpy()


class Replayed:
    """A function whose kernels a GPU replays from a CUDA graph.

    A forward pass starts some 200 kernels, and for each of them Python's lock has to be had, which
    many threads that decode images hold most of the time. A replay is one start.

    Args:
        function: [B, ...] → [B, ...] on the device, of each row by itself, without a wait for the
            device in it, and without gradients; its result depends on that tensor alone.
        shape: the shape that is replayed, from the first batch of it on; so are smaller batches
            from then on, such as the last one: whose memory would come on top of what the graph
            keeps. Others, and those on a CPU, are computed as ever.
    """

    def __init__(self, function: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> None:
        self._function, self._shape = function, shape
        self._replay: Callable[[Tensor], Tensor] | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """The result; a replay writes it over the result before."""
        missing = self._shape[0] - len(x)
        if not x.is_cuda or x.shape[1:] != self._shape[1:] or missing < 0:
            return self._function(x)
        if self._replay is None:
            if missing:
                return self._function(x)
            self._replay = self._recorded(x)
        return self._replay(x)

    def _recorded(self, x: Tensor) -> Callable[[Tensor], Tensor]:
        """What replays the function; the function itself, and a line in the log, if nothing can."""
        given = x.clone()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                self._function(given)
        torch.cuda.current_stream().wait_stream(side)
        try:
            with captured() as graph:
                made = self._function(given)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:  # such as an encoder of timm that reads a number back
            log.warning("each kernel is started by itself, they cannot be recorded: %s", error)
            return self._function

        def replay(images: Tensor) -> Tensor:
            count = len(images)
            given[:count] = images  # rows after them are of a batch before, and of no consequence
            graph.replay()
            return made[:count]

        return replay
