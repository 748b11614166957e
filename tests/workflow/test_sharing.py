"""One folder of results, two checkouts: what is shared, what is noticed, and who may run when."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.workflow.conftest import STUB, Workflow, copy_workflow
from tests.workflow.edits import append, config, put, remove, setting, touch
from tests.workflow.expected import DIGITS, PAPER, SHAPES, below

pytestmark = [pytest.mark.workflow, pytest.mark.filterwarnings("default")]

LEARNING_RATE = "stage1.shapes.training.learning_rate"


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """A folder with images, and with all that an experiment makes of them."""
    folder = tmp_path_factory.mktemp("made")
    workflow = copy_workflow(folder / "checkout", results=str(folder / "results"))
    (workflow.folder / "images").rename(folder / "images")
    setting("data.shapes.path", str(folder / "images"))(workflow.folder)
    run(workflow)
    return folder


@pytest.fixture
def checkout(made, tmp_path, monkeypatch) -> Callable[[str], Workflow]:
    """A function that makes a checkout; all share one folder of results, in which all is made."""
    shutil.copytree(made / "results", tmp_path / "results")

    def make(name: str) -> Workflow:
        workflow = copy_workflow(tmp_path / name, results=str(tmp_path / "results"))
        setting("data.shapes.path", str(made / "images"))(workflow.folder)
        monkeypatch.chdir(workflow.folder)
        return workflow

    return make


def run(workflow: Workflow, *arguments: str, stub: Path = STUB) -> str:
    """Runs what is to be run, and gives what was printed."""
    done = workflow.run(*arguments, stub=stub)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_results_are_shared(checkout):
    """What one checkout made the other does not make again; what it adds it adds for both."""
    one, other = checkout("one"), checkout("other")
    assert other.jobs() == set()
    more = config(
        put("stage1.slow", {"extends": "uncond", "training": {"learning_rate": 1e-4}}),
        append("probes.linear.stage1", "slow"),
    )
    more(other.folder)
    assert other.jobs() == {"stage1/slow", "probe/linear/slow"} | PAPER
    run(other)
    assert other.jobs() == set()
    assert one.jobs() == PAPER  # they show a model that this config does not have
    more(one.folder)
    assert one.jobs() == set()


def test_settings_that_changed_elsewhere_are_noticed(checkout):
    """Cards tell what results were made of, wherever that was."""
    one, other = checkout("one"), checkout("other")
    setting(LEARNING_RATE, 2e-3)(other.folder)
    assert other.jobs() == below("stage1/shapes")
    run(other)
    assert other.jobs() == set()
    assert one.jobs() == below("stage1/shapes")
    setting(LEARNING_RATE, 2e-3)(one.folder)
    assert one.jobs() == set()


def test_a_checkout_without_snakemakes_records_notices_changes(checkout):
    """A deleted `.snakemake` or a fresh clone hides none."""
    workflow = checkout("one")
    assert workflow.jobs() == set()
    config(remove("samplings.cond_nar"), remove("stage2.nar"))(workflow.folder)
    assert workflow.jobs() == PAPER
    setting("codebooks.k16.clusters", 15)(workflow.folder)
    assert workflow.jobs() == below("codebook/k16")
    touch(f"{workflow.folder}/../results/stage1/vq/card.json")(workflow.folder)
    assert workflow.jobs() == below("codebook/k16") | below("sampling/vq")


def test_a_target_alone_is_made_even_if_more_is_outdated(checkout):
    """Outdated results that nobody asks for stay as they are."""
    workflow = checkout("one")
    results = workflow.folder.parent / "results"
    setting("codebooks.k16.clusters", 15)(workflow.folder)
    setting(LEARNING_RATE, 2e-3)(workflow.folder)
    target = str(results / "codebooks/k16/card.json")
    assert workflow.jobs(targets=[target]) == {"codebook/k16"}
    assert workflow.jobs(targets=[str(results / "stage1/cond/card.json")]) == set()


def test_the_command_agrees(checkout):
    """What `snakemake -n` prints are the jobs that the tests see in this process."""
    workflow = checkout("one")
    setting(LEARNING_RATE, 2e-3)(workflow.folder)
    output = run(workflow, "-n")
    started = re.findall(r"^Job \d+: (\S+) (\w+)", output, flags=re.MULTILINE)
    assert ("stage1", "shapes") in started
    # Besides the jobs it prints the rule `all`, which has no message.
    assert len(started) == len(below("stage1/shapes"))
    assert "5 results were not made of what the config says: see `tessera explain`." in output


def waiting_stub(folder: Path, then: str) -> Path:
    """A `python` that does something before the jobs of a stage 1."""
    folder.mkdir()
    script = folder / "python"
    script.write_text(f'#!/bin/sh\ncase $2 in *.stage1) {then} ;; esac\nexec {STUB}/python "$@"\n')
    script.chmod(0o755)
    return folder


def wait_for(path: Path) -> None:
    for _ in range(600):
        if path.exists():
            return
        time.sleep(0.1)
    raise TimeoutError(path)


def test_a_second_run_is_refused_while_one_works(checkout, tmp_path):
    """The sentence names the other one; looking at the results is allowed."""
    one, other = checkout("one"), checkout("other")
    setting(LEARNING_RATE, 2e-3)(one.folder)
    reached, go = tmp_path / "reached", tmp_path / "go"
    stub = waiting_stub(
        tmp_path / "waiting", f"touch {reached}; while [ ! -e {go} ]; do sleep 0.1; done"
    )
    with subprocess.Popen(
        one.command(), cwd=one.folder, env=one.environment(stub), stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    ) as first:  # fmt: skip
        wait_for(reached)
        told = json.loads((tmp_path / "results/.running").read_text())
        assert told["process"] == first.pid
        assert told["started in"] == str(one.folder)
        second = other.run()
        assert second.returncode == 1
        assert f"another run works in {tmp_path / 'results'}" in second.stdout
        assert f"process {first.pid}" in second.stdout
        assert "Traceback" not in second.stdout
        setting(LEARNING_RATE, 2e-3)(other.folder)
        run(other, "-n")
        run(other, "--unlock")
        go.touch()
        assert first.wait() == 0
    assert "Nothing to be done" in run(other)


def test_a_killed_run_is_simply_started_again(checkout, tmp_path):
    """No lock is left, and a job that ended without its controller is not run again."""
    workflow = checkout("one")
    results = tmp_path / "results"
    setting(LEARNING_RATE, 2e-3)(workflow.folder)
    # The training kills the controller, and goes on.
    kill = f"kill -9 $(sed 's/.*\"process\": \\([0-9]*\\).*/\\1/' {results}/.running); sleep 1"
    killed = workflow.run(stub=waiting_stub(tmp_path / "killing", kill))
    assert killed.returncode == -9
    wait_for(results / "stage1/shapes/card.json")
    assert not {"stage1/shapes"} & workflow.jobs()
    run(workflow)
    assert workflow.jobs() == set()


def test_the_whole_experiment_is_one_cache_for_two_configs(checkout):
    """Another config of the same variants asks for nothing; one of fewer takes what it needs."""
    workflow = checkout("one")
    less = workflow.folder / "less.yaml"
    less.write_text("evaluations: {digits: {samplings: [vq]}}\n")
    assert workflow.jobs([less]) == PAPER
    empty = workflow.folder / "empty.yaml"
    empty.write_text("title: Another title\n")
    assert workflow.jobs([empty]) == set()
    elsewhere = workflow.folder / "elsewhere.yaml"
    elsewhere.write_text(f"results: {workflow.folder}/elsewhere\n")
    # The toy needs no images.
    assert workflow.jobs([elsewhere]) == below(DIGITS, SHAPES) | {"projections/toy"}
