"""Points in pages on the device that works on them."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tessera.quantize.sizes import PINNED_PAGES, page_rows


class Pages:
    """Points, a page of float32 at a time, as often as they are read.

    A GPU keeps them in the type that they come in where there is room. Where there is not, they
    are copied to it each time, the next page while one is worked on.

    Args:
        points: float16 or float32 [N, d] on the host; float32 is not copied there.
        device: where the pages shall be.
        keep: whether the device has room for all points; without effect on the CPU.
    """

    def __init__(self, points: NDArray[np.floating], device: str, keep: bool) -> None:
        self.points, self.device = points, torch.device(device)
        self.keep = keep and self.device.type != "cpu"
        self.rows = page_rows(points.shape[1], self.device.type)
        self._kept: list[Tensor] = []

    def __iter__(self) -> Iterator[Tensor]:
        """The pages in order, float32 [rows, d]; who takes one must not change it."""
        if self._kept:
            yield from (page.float() for page in self._kept)
            return
        kept = []
        for page in self._blocks() if self.device.type == "cpu" else self._copied():
            if self.keep:
                kept.append(page)
            yield page.float()
        self._kept = kept  # not before all are there: who reads them may end early

    def _blocks(self) -> Iterator[Tensor]:
        for start in range(0, len(self.points), self.rows):
            # A file that is mapped for reading alone is copied here, a page at a time.
            block = np.require(self.points[start : start + self.rows], requirements=["C", "W"])
            yield torch.from_numpy(block)

    def _copied(self) -> Iterator[Tensor]:
        """Pages by way of two pinned buffers and a stream of their own.

        No more than three are on the GPU at a time, whether it or the host is slower: the one that
        is worked on, the one before it until its memory is given back, and the next one.
        """
        copying = torch.cuda.Stream(self.device)
        shape = (self.rows, self.points.shape[1])
        example = torch.from_numpy(np.empty(0, self.points.dtype))
        turns = range(PINNED_PAGES)
        buffers = [torch.empty(shape, dtype=example.dtype, pin_memory=True) for _ in turns]
        sent, done = ([torch.cuda.Event() for _ in turns] for _ in range(2))

        def send(start: int) -> Tensor:
            turn = start // self.rows % PINNED_PAGES
            block = self.points[start : start + self.rows]
            buffer = buffers[turn][: len(block)]
            sent[turn].synchronize()  # what was in the buffer has left it
            done[turn].synchronize()  # and was worked on: else the host would run ahead
            np.copyto(buffer.numpy(), block)
            with torch.cuda.stream(copying):
                page = buffer.to(self.device, non_blocking=True)
                sent[turn].record(copying)
            return page

        working = torch.cuda.current_stream(self.device)
        following = send(0)
        for start in range(0, len(self.points), self.rows):
            page = following
            working.wait_stream(copying)
            page.record_stream(working)
            yield page
            done[start // self.rows % PINNED_PAGES].record(working)
            if start + self.rows < len(self.points):
                following = send(start + self.rows)
