"""The capture of CUDA graphs, without a GPU: what becomes of the current stream."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from tessera.nn.capture import captured


class Device:
    """Its current stream, and torch 2.11's capture, which forgets to set it back on failure."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.current = "default"
        monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: "a graph")
        monkeypatch.setattr(torch.cuda, "current_stream", lambda: self.current)
        monkeypatch.setattr(torch.cuda, "stream", self.stream)
        monkeypatch.setattr(torch.cuda, "graph", self.graph)

    @contextmanager
    def stream(self, stream: str) -> Iterator[None]:
        before, self.current = self.current, stream
        try:
            yield
        finally:
            self.current = before

    @contextmanager
    def graph(self, graph: str, pool: object, capture_error_mode: str) -> Iterator[None]:
        assert (graph, pool, capture_error_mode) == ("a graph", (0, 1), "thread_local")
        before, self.current = self.current, "private"
        yield
        self.current = before


def test_the_stream_is_the_one_before_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a capture, and after one that fails."""
    device = Device(monkeypatch)
    with captured((0, 1)) as graph:
        assert device.current == "private"
    assert (graph, device.current) == ("a graph", "default")
    with pytest.raises(RuntimeError, match="not permitted"), captured((0, 1)):
        raise RuntimeError("not permitted")
    assert device.current == "default"
