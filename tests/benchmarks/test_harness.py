"""What all benchmarks share: figures, timing, peak memory, JSON, names of machines."""

import json
import math
import re
import subprocess
import sys

import numpy as np
import pytest
from benchmarks.harness import Figure, Report, Timing

from benchmarks import harness


def figure(value: float, other: float, target: float | None, bound: str = "at least") -> Figure:
    """A figure of which only the numbers matter."""
    return Figure(
        name="n", value=value, unit="s", against="a", other=other, target=target, bound=bound
    )


def test_a_target_is_reached_from_its_own_side():
    """At least 0.9 and at most 1.2, each on both sides, and no target at all."""
    assert figure(9, 10, 0.9).reached is True
    assert figure(8, 10, 0.9).reached is False
    assert figure(12, 10, 1.2, "at most").reached is True
    assert figure(13, 10, 1.2, "at most").reached is False
    assert figure(1, 10, None).reached is None


def test_a_timing_is_its_median():
    """A rate, and seconds, with half the range over the median."""
    timing = Timing((1.0, 2.0, 4.0), peak_bytes=7)
    facts = {"spread": 0.75, "repeats": 3, "peak_bytes": 7}
    assert timing.of(10) == {"value": 5.0, **facts}
    assert timing.taken() == {"value": 2.0, **facts}


def test_works_take_turns():
    """So that a busy machine slows all of them; the first round does not count."""
    ran = []
    works = {name: lambda name=name: ran.append(name) for name in "ab"}
    timings = harness.time_side_by_side(works, "cpu", repeats=2, warm=1)
    assert "".join(ran) == "ababab"
    assert [len(timing.seconds) for timing in timings.values()] == [2, 2]


def test_the_peak_is_that_of_each_work():
    """200 MB that one work takes and gives back do not count for the one after it."""
    works = {"large": lambda: np.ones(25 * 2**20).sum(), "small": lambda: np.ones(2**10).sum()}
    timings = harness.time_side_by_side(works, "cpu", repeats=1)
    difference = timings["large"].peak_bytes - timings["small"].peak_bytes
    assert 0.9 * 200 * 2**20 < difference < 1.2 * 200 * 2**20


def test_the_peak_of_a_process_that_keeps_what_it_frees():
    """As trainings do: in a process of its own, since it keeps it to its end."""
    program = """
import numpy as np
from benchmarks import harness
from tessera.allocator import keep_freed_memory
keep_freed_memory()
works = {"large": lambda: np.ones(25 * 2**20).sum(), "small": lambda: np.ones(2**10).sum()}
timings = harness.time_side_by_side(works, "cpu", repeats=1)
print(timings["large"].peak_bytes - timings["small"].peak_bytes)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert 0.9 * 200 * 2**20 < int(done.stdout) < 1.2 * 200 * 2**20


def test_a_report_is_json(capsys, tmp_path):
    """On the terminal or in a file, with machine, versions, ratio and verdict."""

    def measure(device: str, full: bool) -> Report:
        """Measures nothing."""
        sizes = {"device": device, "full": full}
        return Report(benchmark="b", sizes=sizes, figures=[figure(9, 10, 0.5)], left_out=["x"])

    assert harness.main(measure, ["--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    assert harness.main(measure, ["--device", "cpu", "--full", "--out", str(tmp_path / "f")]) == 0
    written = json.loads((tmp_path / "f").read_text())
    assert capsys.readouterr().out == ""
    assert json.loads(printed)["sizes"] == {"device": "cpu", "full": False}
    assert written["sizes"] == {"device": "cpu", "full": True}
    assert written["figures"][0]["ratio"] == 0.9
    assert written["figures"][0]["reached"] is True
    assert written["versions"]["torch"]
    assert written["machine"]["cores"] >= 1
    assert written["left_out"] == ["x"]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_is_no_result(value):
    """JSON has no word for it."""
    with pytest.raises(ValueError, match="Out of range"):
        harness.as_text({"value": value})


@pytest.mark.parametrize(
    ("found", "name"),
    [
        ("Intel(R) Xeon(R) Processor @ 2.80GHz", "intel-xeon-2.80ghz"),
        ("AMD EPYC 9654 96-Core Processor", "amd-epyc-9654-96-core"),
        ("NVIDIA H100 80GB HBM3", "nvidia-h100-80gb-hbm3"),
        ("NVIDIA A100-SXM4/80GB", "nvidia-a100-sxm4-80gb"),
        ("", "unknown"),
    ],
)
def test_a_machine_names_a_folder(monkeypatch, found, name):
    """In small letters, without what a path or a shell would stumble over."""
    monkeypatch.setattr(harness, "_processor", lambda: found)
    assert re.fullmatch(rf"{re.escape(name)}-\d+-cores", harness.machine_name("cpu"))
