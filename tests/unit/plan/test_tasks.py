"""The jobs whose costs are summed are the jobs of the config."""

from pathlib import Path

import pytest

from tessera.config.jobs import jobs
from tessera.config.load import load
from tessera.config.schema import STAGE_OF, stages
from tessera.plan.cost import Task
from tessera.plan.stages import COSTS, START
from tessera.plan.tasks import makes, needs, task_of, tasks

REPO = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def config():
    return load([REPO / "config.yaml"])


def test_they_are_those_of_the_config(config):
    """With the same cards."""
    expected = [
        (Task(job.stage, job.section, job.name, job.each, job.split, job.parts), job.card)
        for job in jobs(config)
    ]
    assert tasks(config) == expected


def test_every_stage_has_a_cost():
    """And a start."""
    assert set(COSTS) == set(START) == set(stages())


@pytest.mark.parametrize(
    ("stage", "wildcards", "task"),
    [
        ("shards", {"data": "digits"}, Task("shards", "data", "digits")),
        ("published", {"codebook": "k"}, Task("published", "codebooks", "k")),
        ("published", {"stage2": "ar"}, Task("published", "stage2", "ar")),
        ("tokens", {"tokens": "t", "split": "train", "part": "0001", "parts": "0004"},
         Task("tokens", "tokens", "t", None, "train", 4)),
        ("usage", {"tokens": "t"}, Task("usage", "tokens", "t")),
        ("samples", {"sampling": "s"}, Task("samples", "samplings", "s")),
        ("evaluation", {"evaluation": "e", "sampling": "s"},
         Task("evaluation", "evaluations", "e", "s")),
        ("probe", {"probe": "p", "stage1": "m"}, Task("probe", "probes", "p", "m")),
        ("figures", {}, Task("figures", "", "")),
        ("index", {}, Task("index", "", "")),
    ],
)  # fmt: skip
def test_wildcards_name_a_job(config, stage, wildcards, task):
    """As the rules have them."""
    assert task_of(config, stage, wildcards) == task


def test_what_a_job_waits_for(config):
    """Itself for an export; everything for the tables."""
    assert needs(config, Task("encoder", "encoders", "dino")) == {("data", "digits")}
    found = needs(config, Task("tokens", "tokens", "semantic", None, "train"))
    assert found == {("codebooks", "k128"), ("data", "digits")}
    export = Task("samples", "samplings", "conditional_vq")
    models = {("stage1", "vq_conditional"), ("samplings", "conditional_vq")}
    assert needs(config, export) == models
    evaluation = Task("evaluation", "evaluations", "digits", "conditional_vq")
    read = {("samplings", "conditional_vq"), ("extractors", "cnn"), ("data", "digits")}
    assert needs(config, evaluation) == read
    everything = {(section, name) for section in STAGE_OF for name in getattr(config, section)}
    everything |= {("usage", name) for name in config.tokens}
    assert needs(config, Task("tables", "", "")) == everything
    collected = {("tables", ""), ("figures", "")}
    assert needs(config, Task("index", "", "")) == everything | collected


def test_only_the_report_waits_for_usage(config):
    """As the rules have it: no training reads how often its codes are used."""
    usage = Task("usage", "tokens", "semantic")
    assert makes(usage) == ("usage", "semantic")
    assert needs(config, usage) >= {makes(Task("tokens", "tokens", "semantic", None, "train"))}
    waiting = {task.stage for task, _ in tasks(config) if makes(usage) in needs(config, task)}
    assert waiting == {"tables", "figures", "index"}
    made = {makes(task) for task, _ in tasks(config)}
    assert all(needs(config, task) <= made for task, _ in tasks(config))
