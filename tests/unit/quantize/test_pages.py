"""Points in pages."""

import numpy as np
import pytest
import torch

from tessera.quantize.pages import Pages
from tessera.quantize.sizes import PAGE_BYTES

POINTS = np.arange(20, dtype=np.float32).reshape(10, 2)


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With pages of three points."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    monkeypatch.setitem(PAGE_BYTES, request.param, 3 * 2 * 4)
    return str(request.param)


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_all_points_come_in_order_each_time(device: str, dtype: type, keep: bool) -> None:
    """In float32; the last page is shorter."""
    pages = Pages(POINTS.astype(dtype), device, keep)
    for _ in range(2):
        found = [page.cpu().clone() for page in pages]
        assert [len(page) for page in found] == [3, 3, 3, 1]
        assert np.array_equal(torch.cat(found).numpy(), POINTS)


def test_reading_that_ends_early_leaves_nothing_out_later(device: str) -> None:
    """Pages that are kept are all of them."""
    pages = Pages(POINTS, device, keep=True)
    pages.keep = True  # on the CPU too, which never does
    for page in pages:
        assert len(page) == 3
        break
    for _ in range(2):
        assert sum(len(page) for page in pages) == 10


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_host_does_not_run_ahead_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """32 pages, each worked on for longer than it takes to send: three lie there at a time."""
    page = 2**22
    monkeypatch.setitem(PAGE_BYTES, "cuda", page)
    points = np.zeros((32 * page // 256, 64), np.float32)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_stats()["active_bytes.all.current"]
    for _ in Pages(points, "cuda", keep=False):
        torch.cuda._sleep(2 * 10**7)  # cycles: about 10 ms
    # Active, not allocated: a page that was let go counts until the GPU is done with it.
    assert torch.cuda.memory_stats()["active_bytes.all.peak"] - before <= 3 * page
