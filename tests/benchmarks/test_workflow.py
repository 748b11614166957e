"""What a job and a run cost beside their work: what is timed, and how it is put together."""

import sys
from pathlib import Path

import pytest
from benchmarks.workflow import Run

from benchmarks import workflow
from tessera.config.load import load
from tessera.config.schema import stages


def finished(results: Path) -> None:
    """What each job leaves that is timed: 2 s of work, and 1.5, 2.5, … s beside; two of tokens."""
    kinds = [stage for kind in workflow.KINDS.values() for stage in kind]
    for number, name in enumerate([*kinds, "tokens/codes/train", "figures"], start=1):
        for place, text in {
            f"benchmarks/{name}.tsv": f"s\th:m:s\tmax_rss\n{number + 2.5}\t0:00:01\t100\n",
            f"logs/{name}.log": f"[x] done in 2.0 s, 9 MB: results/{number}/card.json\n[x] a: b\n",
            f"{number}/card.json": '{"run": {"seconds": 2.0}}',
        }.items():
            file = results / place
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)


def test_a_job_is_what_its_stage_imports():
    """All stages but those that draw, compute a toy, or need what is published."""
    kinds = [stage for kind in workflow.KINDS.values() for stage in kind]
    assert len(kinds) == len(set(kinds))
    assert {*stages()} - {*kinds} == {"figures", "projections", "published"}


def test_the_experiment_is_valid():
    """And has a job of all stages that are timed."""
    config = load([workflow.TINY])
    assert config.probes
    assert config.execution["default"].threads == 1


def test_figures_of_jobs_are_those_of_their_kind(tmp_path):
    """The slowest of a kind, and its share of what the run took beside all of them: Snakemake's."""
    finished(tmp_path / "results")
    jobs = workflow.job_times(tmp_path / "results")
    total = sum(job.wall for job in jobs)
    figures = [*workflow.of_jobs(jobs, Run(total + 2.0 * len(jobs), 10))]
    # 1.5 to 7.5, 8.5 to 11.5 and 21.5, 12.5 to 14.5, and 15.5 to 20.5
    assert [one.value for one in figures[:4]] == pytest.approx([9.5, 23.5, 16.5, 22.5])
    assert [one.reached for one in figures[:4]] == [False] * 4
    assert figures[1].note == "tokens, the slowest of 5 jobs; their median: 12.5 s"
    assert figures[3].note == "probe, the slowest of 6 jobs; their median: 20.0 s"
    assert figures[4].value == pytest.approx(2.0)


def test_a_command_is_timed(tmp_path):
    """With the memory that it took at its peak: 100 MB of its own, and Python's."""
    code = "import time; x = bytes([1]) * (100 * 2**20); time.sleep(0.3)"
    found = workflow.run([sys.executable, "-c", code], tmp_path)
    assert found.seconds > 0.3
    assert 100 * 2**20 < found.peak_bytes < 300 * 2**20


def test_a_command_that_fails_is_no_measurement(tmp_path):
    """Its last words are the error's."""
    with pytest.raises(RuntimeError, match="it broke"):
        workflow.run([sys.executable, "-c", "raise SystemExit('it broke')"], tmp_path)


def test_the_whole_measurement(monkeypatch):
    """With commands that only leave what a run leaves."""
    ran = []

    def run(command, folder, first=None):
        ran.append((command[0], first is not None))
        if folder.name == "tiny":
            finished(folder / "results")
        return Run(200.0 if folder.name == "tiny" else 2.0, 5)

    monkeypatch.setattr(workflow, "run", run)
    report = workflow.measure("cpu", False)
    nothing = [one for one in report.figures if one.name.startswith("nothing to do")]
    assert [one.name.rpartition(" ")[2] for one in nothing] == ["configs/demo.yaml", "config.yaml"]
    assert all((one.value, one.other, one.reached) == (2.0, 10.0, True) for one in nothing)
    assert ran == [("snakemake", False)] + [("python", False)] * 4 + [("snakemake", True)] * 8
