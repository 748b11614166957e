"""Batches to the device and back."""

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
    """The last batch is smaller, and not replayed."""
    weight = torch.randn(48, 5, device=device)

    def function(x):
        return x.float().flatten(1) @ weight

    replayed = Replayed(function, (4, 3, 4, 4))
    found = list(fetched(replayed(upload(array, device)) for array in arrays(*lengths)))
    expected = [function(torch.from_numpy(array).to(device)) for array in arrays(*lengths)]
    assert len(found) == len(expected)
    for made, wanted in zip(found, expected, strict=True):
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
