"""The table of a run, and the command that prints it."""

import csv
from pathlib import Path

import pytest

from tessera.cli import main
from tessera.config.load import load
from tessera.config.schema import Config
from tessera.plan.estimate import Planner
from tessera.plan.table import plan
from tessera.plan.units import scaled, seconds_shown

REPO = Path(__file__).parents[3]
RECIPE = REPO / "configs/imagenet-digit-base-uncond.yaml"


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A folder with the default experiment alone; the CPU is not measured."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text((REPO / "config.yaml").read_text())
    monkeypatch.setattr("tessera.plan.calibration.measured_rate", lambda: None)
    return tmp_path


def rows(config: Config, cores: int = 8, gpus: int = 1, device: str | None = None):
    planner = Planner(config, device, corrected=False)
    return {row.rule: row for row in plan(planner, cores, gpus, 1e15).rows}


def changed(**sections) -> Config:
    return Config.model_validate(load([RECIPE]).model_dump() | {"results": "none"} | sections)


def test_a_rule_sums_its_jobs():
    """FLOPs, GPU-hours and disk of all; time and memory of the largest."""
    config = load([RECIPE])
    planner = Planner(config, corrected=False)
    found = [planner.estimate(task) for task, _ in planner.tasks if task.stage == "stage2"]
    row = rows(config)["stage2"]
    assert row.jobs == len(found) == 2
    assert row.operations == pytest.approx(sum(estimate.operations for estimate in found))
    assert row.gpu_hours == pytest.approx(sum(estimate.seconds for estimate in found) / 3600)
    assert row.longest_s == max(estimate.seconds for estimate in found)
    assert row.walltime_s == pytest.approx(sum(estimate.seconds for estimate in found))
    assert row.kept_bytes == pytest.approx(sum(estimate.kept for estimate in found))
    assert row.gpu_memory_bytes == max(estimate.gpu_memory for estimate in found)


def test_more_gpus_shorten_a_run():
    """Not beyond the longest chain of jobs, and GPU-hours stay."""
    one, four, many = (rows(load([RECIPE]), 256, gpus) for gpus in (1, 4, 64))
    assert one["tokens"].walltime_s == pytest.approx(4 * four["tokens"].walltime_s)
    assert one["total"].walltime_s > four["total"].walltime_s > many["total"].walltime_s
    assert many["total"].walltime_s > many["stage2"].longest_s
    assert one["total"].gpu_hours == pytest.approx(many["total"].gpu_hours)


def test_the_total_is_the_sum():
    """Of jobs, operations, GPU-hours and disk."""
    found = rows(load([RECIPE]))
    total = found.pop("total")
    for name in ("jobs", "operations", "gpu_hours", "kept_bytes"):
        assert getattr(total, name) == pytest.approx(
            sum(getattr(row, name) for row in found.values())
        )


def test_devices_are_compared():
    """A training in bfloat16 takes as much longer as the peak is lower."""
    slow, fast = (rows(load([RECIPE]), device=name)["stage1"] for name in ("a100", "h200"))
    assert slow.longest_s / fast.longest_s == pytest.approx(989 / 312, rel=0.01)


def test_several_gpus_share_a_training():
    """Four on one node: a third of the time, more GPU-hours, memory for four processes."""
    one = rows(changed(execution={"stage1": {"gpus": 1, "micro_batch": 64}}))["stage1"]
    four = rows(changed(execution={"stage1": {"gpus": 4, "micro_batch": 64}}), gpus=4)["stage1"]
    assert one.longest_s / four.longest_s == pytest.approx(4 * 0.81, rel=0.02)
    assert one.gpu_hours < four.gpu_hours < 1.3 * one.gpu_hours
    assert four.host_memory_bytes == pytest.approx(4 * one.host_memory_bytes)
    assert four.gpu_memory_bytes == one.gpu_memory_bytes


def test_warnings():
    """A micro-batch beyond the GPU, memory below the need, a full disk."""
    execution = {"default": {"gpus": 1}, "stage1": {"gpus": 1, "micro_batch": 1024},
                 "samples": {"memory_mb": 1000}}  # fmt: skip
    made = plan(Planner(changed(execution=execution), "h100", corrected=False), 8, 1, 1e9)
    text = "\n".join(made.warnings)
    assert "stage1 uncond_base takes about " in text
    assert "and the H100 80 GB has 80: lower `execution.stage1.micro_batch`" in text
    assert "`execution.samples.memory_mb` allows 1.0: raise it or remove it" in text
    assert "GB more and 1 GB are free where none lies" in text
    assert plan(Planner(load([RECIPE]), "h100", corrected=False), 8, 1, 1e15).warnings == []


def test_jobs_that_a_scheduler_stops(tmp_path, monkeypatch):
    """Trainings go on; others would begin anew; without a limit nobody is stopped."""
    monkeypatch.chdir(tmp_path)
    given = load([RECIPE]).model_dump(exclude_unset=True)["execution"]

    def said(**limits) -> dict[str, str]:
        execution = given | {"default": given["default"] | limits}
        made = plan(Planner(changed(execution=execution), "h100", corrected=False), 8, 1, 1e15)
        return {line.split(" takes")[0]: line for line in made.warnings}

    assert said() == {}
    found = said(max_runtime_minutes=24 * 60)
    assert set(found) == {
        "stage1 uncond_base", "stage2 autoregressive_base", "stage2 masked_base",
    }  # fmt: skip
    assert found["stage1 uncond_base"].endswith(
        "and asks a scheduler for 24.0 h: it is stopped, requeued and goes on from its checkpoint"
    )
    line = said(runtime_minutes=10)["tokens codes"]
    assert "asks a scheduler for 10.0 min: it would be stopped and begin anew: raise" in line
    assert "`execution.tokens`" in line


def test_what_is_assumed_is_said():
    """Guessed counts, models that are not there, GPUs that nobody measured."""
    data = {"imagenet": {"kind": "folder", "path": "no-such-folder"}}
    made = plan(Planner(changed(data=data), corrected=False), 8, 1, 1e15)
    text = "\n".join(made.assumed)
    assert "data.imagenet: 1,281,167 + 50,000 images of 1,000 classes are guessed" in text
    assert "encoders.dinov2_base: its sizes are those that its name says" in text
    assert "A100 80 GB: its speed is arithmetic" in text
    demo = plan(Planner(load([REPO / "config.yaml"]), corrected=False), 8, 1, 1e15)
    assert demo.assumed == []


def test_the_command(here, capsys):
    """Prints a row a rule and writes the same numbers with their units in the names."""
    assert main(["plan", "--cores", "2", "--out", "plan.csv"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("config.yaml, cores: 2, GPUs: 1")
    assert "| stage1 " in out
    with open("plan.csv") as file:
        written = {row["rule"]: row for row in csv.DictReader(file)}
    assert int(written["stage1"]["jobs"]) == 9
    expected = rows(load([REPO / "config.yaml"]), 2)["stage1"]
    assert float(written["stage1"]["walltime_s"]) == pytest.approx(expected.walltime_s)
    assert main(["plan", "--out", "plan.md"]) == 0
    assert "| total " in Path("plan.md").read_text()


def test_the_recipes_need_nothing_to_be_there(here, capsys):
    """Neither images nor weights: a plan comes before the download."""
    for recipe in sorted((REPO / "configs").glob("imagenet-*-*.yaml")):
        assert main(["plan", "--configfile", str(recipe), "--device", "h100"]) == 0, recipe.name
        assert "| total " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--device", "v100"], "'v100' is no device of the table"),
        (["--out", "plan.xls"], "plan.xls is neither a .csv nor a .md file"),
        (["--gpus", "0"], "--gpus is 0: give at least 1"),
    ],
)
def test_mistakes(here, capsys, argv, said):
    """One sentence."""
    assert main(["plan", *argv]) == 1
    assert said in capsys.readouterr().err


def test_numbers_as_people_read_them():
    """With prefixes and units."""
    assert [scaled(value, "B") for value in (0, 12, 3456, 7.89e9, 1e21)] == [
        "0 B", "12 B", "3.46 kB", "7.89 GB", "1e+03 EB",
    ]  # fmt: skip
    shown = [seconds_shown(value) for value in (2, 89, 600, 7200, 864_000)]
    assert shown == ["2.0 s", "89.0 s", "10.0 min", "2.0 h", "10.0 d"]
