"""Linear probes of ours beside published ones: the best of each data set alone."""

import copy
import statistics

import pytest
from tests.unit.report.conftest import RAW, FakeRun
from tests.unit.report.test_literature import ours, rows_of, touch_image

from tessera.report.published import published
from tessera.report.render import to_markdown
from tessera.report.tables.build import BUILD


def test_published_rows_come_first(finished):
    """With grid, width, parameters and accuracy as published."""
    rows = [row for row in rows_of(finished, "linear_probe") if row["ours"] == "false"]
    for row, wanted in zip(rows, published("linear_probe"), strict=True):
        assert (row["method"], row["grid"]) == (wanted.method, wanted.tokens)
        assert (row["features"], row["parameters"]) == (
            str(wanted.features),
            str(wanted.parameters),
        )
        assert float(row["top1"]) == pytest.approx(wanted.top1 / 100)
        assert row["data"] == "ImageNet"


def test_our_rows(finished):
    """Grid of the tokens, width of the model, and what it was made of."""
    free, vq, eight = ours(rows_of(finished, "linear_probe"))
    assert [row["method"] for row in (free, vq, eight)] == [
        "free (ours)", "vq (ours)", "free8 (ours)",
    ]  # fmt: skip
    assert (free["data"], free["grid"], free["features"]) == ("digits", "4x2", "16")
    assert (free["tokens"], vq["tokens"]) == ("semantic", "VQ codes")
    assert (free["top1"], vq["top1"], eight["top1"]) == ("0.875", "0.75", "0.625")
    assert (free["top5"], free["layers"], free["probe"]) == ("0.9375", "3", "linear")
    assert {"stage1=5", "codebook=77"} <= set(free["seeds"].split())


def test_data_sets_do_not_compete(finished):
    """DiGIT's 80.3 % on ImageNet is bold, and so is our best on the digits."""
    table = BUILD["linear_probe"](finished.collection())
    best = {(table.rows[row]["method"], table.rows[row]["data"]) for row, _ in table.best}
    assert best == {("DiGIT", "ImageNet"), ("free (ours)", "digits")}
    text = to_markdown(table)
    assert "**80.3**" in text
    assert "**87.5**" in text


def test_ours_on_imagenet_compete(tmp_path):
    """Probed on ImageNet, 90 % would be the best of all."""
    raw = copy.deepcopy(RAW)
    touch_image(tmp_path / "x")
    raw["data"]["digits"] = {"kind": "folder", "path": str(tmp_path / "x"), "expect": "imagenet"}
    run = FakeRun(tmp_path, raw)
    made = {"layers": [{"layer": 1, "top1": 0.9, "top5": 1.0}], "best_layer": 1}
    run.card(run.paths.pair("probes", "linear", "free"), run.node("probes", "linear", "free"), made)
    table = BUILD["linear_probe"](run.collection())
    assert {(table.rows[row]["ours"], key) for row, key in table.best} == {(True, "top1")}


def test_seeds_are_one_row(tmp_path):
    """Mean and deviation of two models by hand, and both layers."""
    raw = copy.deepcopy(RAW)
    raw["stage1"]["free"] |= {"label": "free", "sweep": {"training.seed": [5, 6]}}
    del raw["stage1"]["free8"]
    raw["probes"]["linear"]["stage1"] = ["free"]
    run = FakeRun(tmp_path, raw)
    for name, layer, top1 in (("free_seed_5", 1, 0.25), ("free_seed_6", 2, 0.75)):
        made = {"layers": [{"layer": layer, "top1": top1, "top5": 1.0}], "best_layer": layer}
        run.card(run.paths.pair("probes", "linear", name), run.node("probes", "linear", name), made)
    (row,) = ours(rows_of(run, "linear_probe"))
    assert (row["method"], row["seeds_averaged"], row["best_layer"]) == ("free (ours)", "2", "1, 2")
    assert (row["top1"], row["variant"]) == ("0.5", "free_seed_5 free_seed_6")
    assert float(row["top1 std"]) == pytest.approx(statistics.stdev([0.25, 0.75]))
