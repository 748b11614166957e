"""Several trainings at once on one machine, through profiles/workstation."""

from datetime import datetime, timedelta
from itertools import combinations

import pytest
from tests.cluster.conftest import new_workflow

pytestmark = [pytest.mark.workflow, pytest.mark.slow]


def test_jobs_at_once_have_devices_of_their_own(tmp_path):
    """Three trainings may start, and there are two devices."""
    workflow = new_workflow(tmp_path / "run")
    run = workflow.start(
        *("--cores", "3", "--resources", "gpu=3"),
        *("--until", "encoder", "autoencoder", "extractor"),
        profile=("--workflow-profile", "profiles/workstation"),
        TESSERA_PRETEND_GPUS="2",
    )
    workflow.finish(run)
    trained = [card["run"] for card in workflow.cards().values() if card["stage"] != "shards"]
    assert [len(run["gpus"]) for run in trained] == [1, 1, 1]
    assert {run["gpus"][0] for run in trained} == {"0", "1"}
    for one, other in combinations(trained, 2):
        assert one["gpus"] != other["gpus"] or apart(one, other)


def apart(one: dict, other: dict) -> bool:
    """Whether two jobs ran one after the other, as far as times in whole seconds tell."""
    ends = [datetime.fromisoformat(run["finished"]) for run in (one, other)]
    starts = [
        end - timedelta(seconds=run["seconds"]) for end, run in zip(ends, (one, other), strict=True)
    ]
    return max(starts) >= min(ends) - timedelta(seconds=1)
