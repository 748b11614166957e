"""The profiles: Snakemake accepts them, and another scheduler's commands get what they need."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from tests.workflow.conftest import REPO, STUB, Workflow

PROFILES = sorted(path.name for path in (REPO / "profiles").iterdir())
QSUB = """#!/bin/bash
# Runs the job at once, in the background.
echo "$@" >> "$(dirname "$0")/submitted"
setsid bash "${!#}" > /dev/null 2>&1 &
echo 17
"""


def profile(name: str) -> dict:
    return yaml.safe_load((REPO / "profiles" / name / "config.yaml").read_text())


@pytest.mark.parametrize("name", PROFILES)
def test_all_profiles_rerun_for_the_same_reasons(name):
    """Otherwise a run on a cluster would retrain what a run on a laptop leaves alone."""
    keys = ("rerun-triggers", "rerun-incomplete", "keep-going")
    assert [profile(name)[key] for key in keys] == [profile("default")[key] for key in keys]


@pytest.mark.workflow
@pytest.mark.parametrize("name", [name for name in PROFILES if name != "default"])
def test_snakemake_accepts_the_profile(fresh, name):
    result = fresh.run("--dry-run", "--quiet", "--workflow-profile", f"profiles/{name}")
    assert result.returncode == 0, result.stdout


@pytest.mark.workflow
@pytest.mark.slow
def test_another_scheduler_gets_jobs_with_what_they_ask_for(fresh, tmp_path_factory):
    commands: Path = tmp_path_factory.mktemp("scheduler")
    (commands / "qsub").write_text(QSUB)
    (commands / "qsub").chmod(0o755)
    asked = {"threads": 2, "memory_mb": 1234, "runtime_minutes": 56, "gpus": 1}
    (fresh.folder / "asked.yaml").write_text(json.dumps({"execution": {"encoder": asked}}))
    result = fresh.run(
        *("--workflow-profile", "profiles/cluster-generic", "--until", "encoder"),
        *("--seconds-between-status-checks", "1", "--configfile", "asked.yaml"),
        PATH=f"{STUB}:{Path(sys.executable).parent}:{commands}:/usr/bin:/bin",
    )
    assert result.returncode == 0, result.stdout
    submitted = (commands / "submitted").read_text().splitlines()
    found = [
        re.search(r"-pe smp (\d+) -l mem=(\d+)M,h_rt=0:(\d+):0,gpu=(\d+) ", line)
        for line in submitted
    ]
    assert all(found), submitted
    assert ("2", "1234", "56", "1") in [match.groups() for match in found if match]
    assert any(match[4] == "0" for match in found if match)  # the images, without a GPU


SBATCH = """#!/bin/bash
echo "$@" | grep -o -e "--array=[0-9-]*" >> "$(dirname "$0")/submitted"
echo 17
"""
SQUEUE = """#!/bin/bash
[ -e "$(dirname "$0")/submitted" ] && seq -f "17_%g|FAILED" 1000
"""
SINFO = """#!/bin/bash
printf 'PARTITION\\nall*\\n'
"""
SCONTROL = """#!/bin/bash
echo "MaxArraySize = 1001"
echo "MinJobAge = 300 sec"
"""


@pytest.mark.workflow
@pytest.mark.slow
def test_slurm_gets_all_of_many_parts(finished_run, tmp_path):
    """With a limit, such as the usual 100 jobs a second, the plugin would wait for ever."""
    workflow = Workflow(tmp_path / "run")
    shutil.copytree(finished_run.folder, workflow.folder)
    overlay = {"execution": {"sampling": {"parts": 60}}}
    (workflow.folder / "many.yaml").write_text(json.dumps(overlay))
    for name, text in (
        ("sbatch", SBATCH),
        ("squeue", SQUEUE),
        ("scontrol", SCONTROL),
        ("sinfo", SINFO),
    ):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    result = workflow.run(
        *("--workflow-profile", "profiles/slurm", "--retries", "0", "--until", "sampling"),
        *("--slurm-status-command", "squeue", "--max-status-checks-per-second", "10"),
        *(
            "--cores",
            "all",
            "--slurm-init-seconds-before-status-checks",
            "1",
            "--configfile",
            "many.yaml",
        ),
        PATH=f"{tmp_path}:/usr/bin:/bin",
    )
    assert result.returncode == 1, result.stdout  # since all jobs fail
    sets = len(list((workflow.folder / "results" / "samplings").iterdir()))
    assert sets * 60 > 200
    assert (tmp_path / "submitted").exists(), result.stdout[-6000:]
    assert (tmp_path / "submitted").read_text().split() == [f"--array=1-{sets * 60}"]
