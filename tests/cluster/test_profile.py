"""The experiment through profiles/slurm, on a SLURM that runs its jobs."""

from collections import defaultdict
from pathlib import Path

import pytest
import yaml
from tests.cluster.conftest import REPO, TwoRuns, Workflow
from tests.cluster.slurm import Slurm

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
EXECUTION = yaml.safe_load((Path(__file__).parent / "reduced.yaml").read_text())["execution"]
ON_GPU = {stage for stage, asked in EXECUTION.items() if "gpus" in asked}


def devices_by_stage(workflow: Workflow) -> dict[str, list[str]]:
    """Stage → the devices that its jobs say they had, such as `n1:0`."""
    found = defaultdict(list)
    for card in workflow.cards().values():
        run = card["run"]
        found[card["stage"]] += [f"{run['machine']}:{number}" for number in run["gpus"]]
    return {stage: sorted(devices) for stage, devices in found.items()}


def test_the_whole_experiment_is_made(whole):
    assert "25 of 25 steps (100%) done" in whole.printed()
    assert len(whole.cards()) == 24  # one for each job but `all`


def test_each_job_on_a_gpu_has_the_one_that_slurm_gave_it(slurm: Slurm, two_runs: TwoRuns):
    given = {job: held for moment in two_runs.moments for job, held in moment.items()}
    stages = devices_by_stage(two_runs.whole)
    assert {stage for stage, held in stages.items() if held} == ON_GPU
    for stage in ON_GPU:
        jobs = slurm.jobs(two_runs.whole.folder, stage)
        assert stages[stage] == sorted(device for job in jobs for device in given[job])


def test_two_runs_at_once_share_no_device(slurm: Slurm, two_runs: TwoRuns):
    sets = [set(slurm.jobs(run.folder)) for run in (two_runs.whole, two_runs.gres)]
    together = 0
    for moment in two_runs.moments:
        devices = [device for held in moment.values() for device in held]
        assert len(devices) == len(set(devices)), moment
        together += all(moment.keys() & jobs for jobs in sets)
    assert together  # both did hold devices at the same time


def test_jobs_ask_for_what_the_config_says(slurm: Slurm, whole: Workflow):
    asked = {}
    for stage in ("stage2", "codebook"):
        (job,) = slurm.jobs(whole.folder, stage)
        record = slurm.record(job)
        asked[stage] = [record[name] for name in ("NumCPUs", "MinMemoryNode", "TimeLimit")]
        assert record.get("TresPerJob") == ("gres:gpu:1" if stage in ON_GPU else None)
    assert asked == {"stage2": ["2", "1400M", "00:20:00"], "codebook": ["1", "1500M", "00:10:00"]}


def test_parts_are_one_job_array(slurm: Slurm, whole: Workflow):
    for stage in ("features", "sampling"):
        records = [slurm.record(f"{job}") for job in slurm.jobs(whole.folder, stage)]
        assert len(records) == 2
        assert len({record["ArrayJobId"] for record in records}) == 1
    (codebook,) = slurm.jobs(whole.folder, "codebook")
    assert "ArrayJobId" not in slurm.record(codebook)


def test_gpus_asked_for_by_gres_give_the_same(slurm: Slurm, two_runs: TwoRuns):
    for stage in ("encoder", "features"):
        for job in slurm.jobs(two_runs.gres.folder, stage):
            record = slurm.record(job)
            assert record["TresPerNode"] == "gres:gpu:1"
            assert "TresPerJob" not in record
    held = {stage: len(held) for stage, held in devices_by_stage(two_runs.gres).items()}
    assert held == {"shards": 0, "encoder": 1, "features": 2}
    ours, theirs = two_runs.gres.cards(), two_runs.whole.cards()
    assert len(ours) == 4
    assert all(card["digest"] == theirs[name]["digest"] for name, card in ours.items())


def test_account_and_partitions_come_from_the_users_own_profile(slurm: Slurm, two_runs: TwoRuns):
    """A partition for jobs with GPUs, another for those without."""
    found = {}
    for stage in ("shards", "encoder", "features"):
        records = [slurm.record(job) for job in slurm.jobs(two_runs.gres.folder, stage)]
        found[stage] = {(record["Account"], record["Partition"]) for record in records}
    gpus = {("lab", "gpus")}
    assert found == {"shards": {("lab", "main")}, "encoder": gpus, "features": gpus}
    # What our profile says holds as well.
    (encoder,) = slurm.jobs(two_runs.gres.folder, "encoder")
    assert slurm.record(encoder)["Requeue"] == "1"


def test_our_profile_leaves_default_resources_to_the_user():
    """Snakemake takes this key from one profile alone."""
    profile = yaml.safe_load((REPO / "profiles" / "slurm" / "config.yaml").read_text())
    assert "default-resources" not in profile
