"""Settings of dask."""

import pytest

from tessera.config.resolve import config_digest
from tessera.errors import UserError


@pytest.mark.parametrize("scheduler", ["threads", "slurm", "tcp://host:8786", "tls://[::1]:8786"])
def test_what_may_compute(changed, scheduler):
    """Who it is changes no number, so it may change while jobs run."""
    before = config_digest(changed())
    config = changed({"dask": {"scheduler": scheduler}})
    assert config.dask.scheduler == scheduler
    assert config_digest(config) == before


@pytest.mark.parametrize("scheduler", ["host:8786", "http://host", "tcp://", "slurms", ""])
def test_what_is_no_scheduler(changed, scheduler):
    """Found when the config is read."""
    with pytest.raises(UserError, match=r"config: dask\.scheduler: "):
        changed({"dask": {"scheduler": scheduler}})


def test_workers_that_are_none(changed):
    """Said with their place."""
    with pytest.raises(UserError, match=r"config: dask\.slurm\.workers: .* greater than or equal"):
        changed({"dask": {"slurm": {"workers": 0}}})
    with pytest.raises(UserError, match=r"config: dask\.slurm\.queue is no known setting"):
        changed({"dask": {"slurm": {"queue": "short"}}})


def test_a_sample_below_the_clusters(changed):
    """K-Means needs a point a centroid."""
    with pytest.raises(UserError, match=r"codebooks\.k8: points \(7\) must be at least clusters"):
        changed({"codebooks.k8.points": 7})
    assert changed({"codebooks.k8.points": 8}).codebooks["k8"].points == 8
