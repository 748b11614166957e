"""All benchmarks in turn: what is compared, what fails, what does not fit any more."""

import json
import os
import time
from typing import Any

import pytest

from benchmarks import run


def figure(value: float, bound: str = "at least", target: float | None = 1.0) -> dict[str, Any]:
    """A figure of a report, measured against 1."""
    kept = value >= 1 if bound == "at least" else value <= 1
    return {
        "name": "f", "value": value, "unit": "s", "against": "a limit", "other": 1.0,
        "ratio": value, "bound": bound, "target": target,
        "reached": None if target is None else kept,
    }  # fmt: skip


def report(*figures: dict[str, Any], left_out: tuple[str, ...] = ()) -> dict[str, Any]:
    """A benchmark's report."""
    return {"figures": list(figures), "left_out": list(left_out)}


@pytest.mark.parametrize(
    ("bound", "value", "worse"),
    [
        ("at least", 0.8, True),
        ("at least", 0.9, False),
        ("at least", 1.5, False),
        ("at most", 1.2, True),
        ("at most", 1.1, False),
        ("at most", 0.5, False),
    ],
)
def test_a_ratio_that_became_worse_is_marked(bound, value, worse):
    """Less where more is wanted, more where less is; 15 % are noise."""
    ((line, notable),) = run.lines(report(figure(value, bound)), report(figure(1.0, bound)))
    assert notable is worse
    assert line.endswith("WORSE") is worse
    assert f"{value - 1:+.0%} against the last" in line


@pytest.mark.parametrize(("now", "then"), [(0.5, 0.0), (0.0, 0.5), (-0.1, 0.5), (0.5, -0.1)])
def test_ratios_that_are_no_more_than_0_are_not_compared(now, then):
    """Exponents, and differences of timings: a share of them means nothing."""
    ((line, notable),) = run.lines(report(figure(now, "at most")), report(figure(then)))
    assert not notable
    assert "against the last" not in line


def test_a_figure_that_is_no_more_is_said():
    """As worse: else who breaks one would not notice."""
    other = figure(1.0) | {"name": "g"}
    lines = list(run.lines(report(figure(1.0)), report(other, figure(1.0))))
    assert lines[1:] == [("  g: GONE, it is in the last results", True)]


def test_lines_say_what_was_reached_and_what_was_not_run():
    """Without a target there is no verdict, without a last result no comparison."""
    given = report(figure(2.0), figure(0.5), figure(3.0, target=None), left_out=("bfloat16",))
    lines = [line for line, _ in run.lines(given, None)]
    assert [line.rpartition(" ")[2] for line in lines[:2]] == ["reached", "MISSED"]
    assert lines[2].endswith("3.00 x a limit (1)")
    assert lines[3] == "  not run: bfloat16"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where results are kept in place of the committed ones."""
    monkeypatch.setattr(run, "RESULTS", tmp_path)
    monkeypatch.setattr(run, "machine_name", lambda device: "here")
    return tmp_path / "here"


def test_results_are_kept_and_compared(folder, monkeypatch, capsys):
    """A second run that is slower fails only where one asks for that."""
    made = iter([1.0, 0.5, 0.5])
    monkeypatch.setattr(run, "run_one", lambda *_: report(figure(next(made))))
    assert run.main(["--device", "cpu", "--only", "kmeans", "--save"]) == 0
    assert json.loads((folder / "kmeans.json").read_text()) == report(figure(1.0))
    assert "WORSE" not in capsys.readouterr().out
    assert run.main(["--device", "cpu", "--only", "kmeans"]) == 0
    assert "WORSE" in capsys.readouterr().out
    assert run.main(["--device", "cpu", "--only", "kmeans", "--strict"]) == 1
    assert "0 targets reached, 1 missed" in capsys.readouterr().out
    assert json.loads((folder / "kmeans.json").read_text()) == report(figure(1.0))


def test_a_benchmark_that_fails_is_said(folder, capfd):
    """The others run, and the status tells."""
    assert run.main(["--device", "meta", "--only", "kmeans", "--save", "--budget", "60"]) == 1
    assert "\nkmeans: FAILED: " in capfd.readouterr().out
    assert not folder.exists()


def test_a_module_that_is_not_there_is_said():
    """By the last line of what it wrote."""
    assert run.run_one("nothing", "cpu", 60, 60) == (
        f"FAILED: {run.sys.executable}: No module named benchmarks.nothing"
    )


def test_what_does_not_fit_is_not_run(folder, monkeypatch, capsys):
    """Once the budget is spent."""
    monkeypatch.setattr(run, "command", lambda *_: pytest.fail("it ran"))
    assert run.main(["--device", "cpu", "--only", "kmeans", "growth", "--budget", "10"]) == 1
    said = capsys.readouterr().out
    assert "kmeans: NOT RUN: 10 s are left of the budget" in said
    assert "growth: NOT RUN: " in said


def test_what_hangs_ends_with_all_that_it_started(tmp_path, monkeypatch):
    """Else a child would slow down the benchmarks behind it."""
    pid = tmp_path / "pid"
    words = f"sleep 300 & echo $! > {pid}; echo noise; wait"
    monkeypatch.setattr(run, "command", lambda *_: ["bash", "-c", words])
    assert run.run_one("kmeans", "cpu", 1, 60) == "FAILED: stopped after 1 s"
    for _ in range(50):
        if not alive(int(pid.read_text())):
            return
        time.sleep(0.1)
    pytest.fail("the child lives on")


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_report_is_read_from_its_file(monkeypatch):
    """Libraries write to the terminal what they like."""

    def command(name: str, device: str, file: os.PathLike[str]) -> list[str]:
        return ["bash", "-c", f'echo noise; echo \'{{"of": "{name} {device}"}}\' > {file}']

    monkeypatch.setattr(run, "command", command)
    assert run.run_one("kmeans", "cpu", 60, 60) == {"of": "kmeans cpu"}


def test_a_gpu_has_nine_minutes(folder, monkeypatch):
    """Unless more are given."""
    left = []
    monkeypatch.setattr(run, "run_one", lambda *given: left.append(given[3]) or report())
    for words in (["--device", "cuda"], ["--device", "cpu"], ["--device", "cuda", "--budget", "9"]):
        assert run.main([*words, "--only", "kmeans"]) == 0
    assert [round(seconds) for seconds in left] == [540, 3600, 9]


def test_one_benchmark_leaves_the_others_half_of_a_gpus_time(folder, monkeypatch):
    """But the last one, and any where all have an hour, may take what is left of it."""
    limits = []
    monkeypatch.setattr(run, "run_one", lambda *given: limits.append(given[2]) or report())
    for device, budget in (("cuda", "540"), ("cuda", "20"), ("cpu", "540")):
        words = ["--device", device, "--budget", budget, "--only", "kmeans", "growth"]
        assert run.main(words) == 0
    assert [round(seconds) for seconds in limits] == [270, 600, 15, 600, 600, 600]


def test_a_gpu_does_not_run_what_is_the_processors():
    """Unless one names it."""
    assert set(run.NAMES) - set(run.chosen(None, "cuda:0")) == set(run.ON_PROCESSORS)
    assert run.chosen(None, "cpu") == list(run.NAMES)
    assert run.chosen(["workflow"], "cuda") == ["workflow"]
