"""The speed of this machine's products."""

import subprocess
from types import SimpleNamespace

from tessera.plan.calibration import measured_rate


def test_any_cpu():
    """Operations a second of one thread: more than a pocket calculator, less than a GPU."""
    rate = measured_rate()
    assert rate is not None
    assert 1e8 < rate < 1e13


def test_no_measurement(monkeypatch):
    """The table's CPU stands in."""
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=1))
    assert measured_rate() is None
