"""Batches to the device and back."""

from contextlib import nullcontext
from unittest import mock

import numpy as np
import pytest
import torch

from tessera.stages.streaming import Replayed, fetched, upload

GPU = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")]
DEVICES = ["cpu", pytest.param("cuda", marks=GPU)]


def arrays(*lengths):
    """uint8 [length, 3, 4, 4] each."""
    draw = np.random.default_rng(0)
    return [draw.integers(0, 256, (length, 3, 4, 4), dtype=np.uint8) for length in lengths]


@pytest.mark.parametrize("device", DEVICES)
def test_an_upload_is_the_array(device):
    """Also one whose rows do not follow each other."""
    (array,) = arrays(6)
    for view in (array, array[::2], array[:, 1]):
        sent = upload(view, device)
        assert sent.device.type == device
        assert np.array_equal(sent.cpu().numpy(), view)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("lengths", [(), (3,), (4, 4, 4, 2)])
def test_results_come_in_order_and_equal_the_plain_ones(device, lengths):
    """The last batch is smaller, and rounds as the others do where it is replayed like them."""
    weight = torch.randn(48, 5, device=device)

    def function(x):
        return x.float().flatten(1) @ weight

    replayed = Replayed(function, (4, 3, 4, 4))
    found = list(fetched(replayed(upload(array, device)) for array in arrays(*lengths)))
    assert len(found) == len(lengths)
    padded = device == "cuda" and 4 in lengths
    for made, array in zip(found, arrays(*lengths), strict=True):
        x = torch.from_numpy(array).to(device)
        missing = 4 - len(x) if padded else 0
        wanted = function(torch.cat([x, x.new_zeros(missing, *x.shape[1:])]))[: len(x)]
        assert np.array_equal(made, wanted.cpu().numpy())


def test_a_result_is_taken_when_the_next_is_under_way():
    """One behind, and no more: what waits fills memory."""
    events = []

    def results():
        for number in range(3):
            events.append(f"begun {number}")
            yield torch.tensor(number)

    for taken in fetched(results()):
        events.append(f"taken {int(taken)}")
    assert events == ["begun 0", "begun 1", "taken 0", "begun 2", "taken 1", "taken 2"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_what_cannot_be_recorded_is_computed_plainly(caplog):
    """A function that reads a number back from the GPU."""
    replayed = Replayed(lambda x: x * x.sum().item(), (2,))
    for values in ([1.0, 2.0], [3.0, 4.0]):
        x = torch.tensor(values, device="cuda")
        assert replayed(x).tolist() == [value * sum(values) for value in values]
    assert "cannot be recorded" in caplog.text
    assert torch.cuda.current_stream() == torch.cuda.default_stream()
    again = Replayed(lambda x: x * 2, (2,))
    assert again(x).tolist() == again(x).tolist() == [6.0, 8.0]
    assert again._replay is not again._function


class OnGPU(torch.Tensor):
    """A tensor that says it is on a GPU."""

    is_cuda = True  # type: ignore[assignment]


class Graphs:
    """Stands for CUDA graphs: a replay calls a function once more, on what it was called with."""

    def __init__(self, monkeypatch, error=None):
        self.error, self.shapes = error, []
        for name in ("Stream", "current_stream"):
            monkeypatch.setattr(torch.cuda, name, mock.MagicMock())
        for name in ("stream", "graph"):
            monkeypatch.setattr(torch.cuda, name, lambda *_, **__: nullcontext())
        monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: self)

    def function(self, x):
        """Twice the input; fails in the third call, which is the capture."""
        self.shapes.append(tuple(x.shape))
        if self.error is not None and len(self.shapes) == 3:
            raise self.error
        self.given, self.made = x, x * 2
        return self.made

    def replay(self):
        self.shapes.append("replay")
        self.made.copy_(self.given * 2)


def on_gpu(*values):
    return torch.tensor(values, dtype=torch.float32).as_subclass(OnGPU)


def test_after_a_capture_smaller_batches_are_replayed_too(monkeypatch):
    """What a graph keeps is all that they need; before one they are computed plainly."""
    graphs = Graphs(monkeypatch)
    replayed = Replayed(graphs.function, (3,))
    assert replayed(on_gpu(1, 2)).tolist() == [2, 4]
    assert graphs.shapes == [(2,)]
    assert replayed(on_gpu(1, 2, 3)).tolist() == [2, 4, 6]
    assert graphs.shapes[1:] == [(3,), (3,), (3,), "replay"]
    assert replayed(on_gpu(5)).tolist() == [10]
    assert replayed(on_gpu(7, 8)).tolist() == [14, 16]
    assert graphs.shapes[5:] == ["replay", "replay"]
    assert replayed(on_gpu(1, 2, 3, 4)).tolist() == [2, 4, 6, 8]
    assert graphs.shapes[-1] == (4,)


def test_a_capture_that_fails(monkeypatch, caplog):
    """The function is called instead, and the log says so; but no memory is no memory."""
    graphs = Graphs(monkeypatch, RuntimeError("no"))
    assert Replayed(graphs.function, (2,))(on_gpu(1, 2)).tolist() == [2, 4]
    assert "cannot be recorded: no" in caplog.text
    graphs = Graphs(monkeypatch, torch.OutOfMemoryError("much"))
    with pytest.raises(torch.OutOfMemoryError):
        Replayed(graphs.function, (2,))(on_gpu(1, 2))
