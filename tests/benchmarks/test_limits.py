"""Limits of the machine: what is counted, and what is timed."""

import pytest
import torch
from benchmarks.limits import Product

from benchmarks import limits


def test_operations_of_products():
    """A multiplication and its sum are two."""
    assert Product(2, 3, 5).flops == 60
    assert Product(2, 3, 5, count=4).flops == 240


def test_products_are_done_as_often_as_they_count(monkeypatch):
    """Each with its shapes and its type."""
    done = []

    def linear(x: torch.Tensor, weight: torch.Tensor) -> None:
        done.append((tuple(x.shape), tuple(weight.shape), x.dtype))

    work = limits.multiply([Product(2, 3, 5, 2), Product(7, 1, 1)], torch.bfloat16, "cpu")
    monkeypatch.setattr(limits.F, "linear", linear)
    work()
    assert done == [((2, 3), (5, 3), torch.bfloat16)] * 2 + [((7, 1), (1, 1), torch.bfloat16)]


def test_the_mean_of_some_seconds_counts(monkeypatch):
    """Calls until 2 s have passed, after one that nobody times."""
    clock = iter([0.0, 0.1, 1.0, 2.4])
    runs = []
    monkeypatch.setattr(limits.time, "perf_counter", lambda: next(clock))
    assert limits.sustained(lambda: runs.append(1), "cpu", 2.0) == 1.2
    assert len(runs) == 3


def test_work_that_takes_longer_is_called_once(monkeypatch):
    """However few seconds are asked for."""
    clock = iter([0.0, 0.0, 5.0])
    monkeypatch.setattr(limits.time, "perf_counter", lambda: next(clock))
    assert limits.sustained(lambda: None, "cpu", 0.0) == 5.0


def test_rates_follow_from_the_seconds(monkeypatch):
    """Operations over seconds; bytes read over seconds."""
    monkeypatch.setattr(limits, "sustained", lambda *_: 0.5)
    monkeypatch.setattr(limits, "MATRIX_SIZE", {"cpu": 10})
    monkeypatch.setattr(limits, "READ_BYTES", {"cpu": 100 * 4 * limits.COLUMNS})
    assert limits.matrix_rate(torch.float32, "cpu") == pytest.approx(4000)
    assert limits.bandwidth("cpu") == pytest.approx(200 * 4 * limits.COLUMNS)


def test_this_machine_has_rates(monkeypatch):
    """They are measured, not assumed."""
    monkeypatch.setattr(limits, "MATRIX_SIZE", {"cpu": 64})
    monkeypatch.setattr(limits, "READ_BYTES", {"cpu": 2**22})
    assert limits.matrix_rate(torch.float32, "cpu") > 1e6
    assert limits.bandwidth("cpu") > 1e6
