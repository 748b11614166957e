"""Our sample sets beside published ones: one column a protocol, one row a family of seeds."""

import copy
import csv
import io
import statistics

import pytest
from tests.unit.report.conftest import RAW, FakeRun

from tessera.report.published import published
from tessera.report.render import to_csv, to_latex, to_markdown
from tessera.report.tables.build import BUILD

INCEPTION = {"name": "inception-v3-compat", "kind": "inception", "digest": "i" * 64}
NAMES = {"fid": "FID", "is": "IS", "kid": "KID", "precision": "Precision", "recall": "Recall"}
VALIDATION = {"kind": "images", "split": "validation", "count": 50_000, "digest": "r" * 64}
STATISTICS = {"kind": "statistics", "digest": "s" * 64}
FULL = {
    "extractor": INCEPTION,
    "names": NAMES,
    "reference": VALIDATION,
    "count": 50_000,
    "metrics": {"fid": 2.5, "is": 250.0, "kid": 0.001, "precision": 0.75, "recall": 0.5},
}
PUBLISHED_FID = {"FID (validation)", "FID (ADM statistics)", "FID (as reported)"}


def touch_image(folder) -> None:
    """A folder of one image, of which nobody reads more than its name."""
    image = folder / "train" / "n01440764" / "0.png"
    image.parent.mkdir(parents=True)
    image.touch()


def imagenet(folder, crop: int = 256, expect: str | None = "imagenet") -> FakeRun:
    """A run whose images are checked to be ImageNet; no file is looked at."""
    raw = copy.deepcopy(RAW)
    raw["data"]["imagenet"] = {"kind": "folder", "path": str(folder / "images"), "expect": expect}
    touch_image(folder / "images")
    raw["views"]["reference"] = {"data": "imagenet", "resize": 256, "crop": crop}
    return FakeRun(folder, raw)


def evaluate(run: FakeRun, **changes) -> None:
    """The card of the class-conditional set over Inception."""
    made = run.node("evaluations", "digits", "cond_ar")
    made["inputs"]["views"] = run.node("views", "reference")
    path = run.paths.pair("evaluations", "full", "cond_ar")
    run.card(path, made, FULL | {"weights": "raw"} | changes)


def rows_of(run: FakeRun, name: str) -> list[dict[str, str]]:
    """A table's CSV file, read back."""
    return list(csv.DictReader(io.StringIO(to_csv(BUILD[name](run.collection())))))


def ours(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """The rows of this run."""
    return [row for row in rows if row["ours"] == "true"]


def test_published_rows_stand_under_their_reference(finished):
    """Every published number once, in the column of what it is measured against."""
    columns = {
        "imagenet-validation": "FID (validation)",
        "adm-statistics": "FID (ADM statistics)",
        None: "FID (as reported)",
    }
    for name in ("unconditional", "conditional"):
        rows = [row for row in rows_of(finished, name) if row["ours"] == "false"]
        for row, wanted in zip(rows, published(name), strict=True):
            filled = {column for column in PUBLISHED_FID if row[column]}
            assert filled == {columns[wanted.reference]}
            assert float(row[filled.pop()]) == wanted.fid
            assert (row["method"], row["source"]) == (wanted.method, wanted.source)
            assert row["IS"] == ("" if wanted.inception_score is None
                                 else repr(wanted.inception_score))  # fmt: skip
            assert row["parameters"] == str(wanted.parameters)
            assert row["FD (cnn)"] == ""


def test_our_rows_over_another_extractor_stand_apart(finished):
    """The digits' numbers are in columns of their own, with size and epochs of stage 1."""
    ar, nar = ours(rows_of(finished, "conditional"))
    (vq,) = ours(rows_of(finished, "unconditional"))
    assert [row["type"] for row in (ar, nar, vq)] == ["AR", "MIM", "AR"]
    assert [row["method"] for row in (ar, nar, vq)] == [
        "50 % noise_1 & more (ours)", "cond_nar (ours)", "vq (ours)",
    ]  # fmt: skip
    for row, distance in ((ar, 3.0625), (nar, 2.03125), (vq, 9.123456789012345)):
        assert float(row["FD (cnn)"]) == distance
        assert not any(row.get(column) for column in (*PUBLISHED_FID, "IS"))
    # 100 updates of 8 images, of which there are 100.
    assert (ar["epochs"], ar["parameters"], ar["stage2_parameters"]) == ("8.0", "11111", "22222")
    assert (vq["parameters"], vq["stage2_parameters"]) == ("12345", "")
    assert (ar["guidance"], ar["count"], ar["seeds_averaged"]) == ("none", "1000", "")
    assert ar["cards"] == "evaluations/digits/cond_ar.json"


def test_the_best_of_each_column_is_bold(finished):
    """With guidance and without; but not of FIDs of which nobody knows what they are against."""
    table = BUILD["conditional"](finished.collection())
    best = {}
    for row, key in table.best:
        best.setdefault(key, set()).add(table.rows[row]["method"])
    assert best["FID (validation)"] == {"DiGIT (+VQGAN)"}
    assert best["FID (ADM statistics)"] == {"MAR-H", "VAR"}  # 1.55 guided, 4.64 unguided
    assert best["IS"] == {"VAR", "DiGIT (+VQGAN)"}  # 306.1 guided, 205.96 unguided
    assert best["FD (cnn)"] == {"cond_nar (ours)"}
    assert best["Recall (cnn)"] == {"cond_nar (ours)"}
    assert "FID (as reported)" not in best
    text = to_markdown(table)
    assert "**3.39**" in text
    assert "**1.55**" in text
    assert "**3.65**" not in text  # MAGVIT-v2, the lowest of those


def test_ours_against_the_validation_images_share_a_column(tmp_path):
    """Inception, ImageNet's 50,000 validation images at 256 pixels, 50,000 samples."""
    run = imagenet(tmp_path)
    evaluate(run)
    (row,) = ours(rows_of(run, "conditional"))
    assert (row["FID (validation)"], row["IS"], row["KID"]) == ("2.5", "250.0", "0.001")
    assert (row["Precision"], row["Recall"]) == ("0.75", "0.5")
    table = BUILD["conditional"](run.collection())
    last = len(table.rows) - 1
    assert (last, "FID (validation)") in table.best  # 2.5 is below DiGIT's 3.39
    assert (last, "IS") in table.best  # VAR's 306.1 is guided; DiGIT's 205.96 is not
    assert (last, "FID (ADM statistics)") not in table.best


@pytest.mark.parametrize(
    ("what", "crop", "expect", "changes"),
    [
        ("other images", 256, None, {}),
        ("smaller images", 128, "imagenet", {}),
        ("training images", 256, "imagenet", {"reference": VALIDATION | {"split": "train"}}),
        ("fewer reference images", 256, "imagenet", {"reference": VALIDATION | {"count": 10_000}}),
        ("fewer samples", 256, "imagenet", {"count": 10_000}),
    ],
)
def test_whatever_differs_makes_a_column_of_its_own(tmp_path, what, crop, expect, changes):
    """No number of another protocol stands among the published ones."""
    run = imagenet(tmp_path, crop, expect)
    evaluate(run, **changes)
    (row,) = ours(rows_of(run, "conditional"))
    assert row["FID, full"] == "2.5", what
    assert row["IS, full"] == "250.0"
    assert not any(row[column] for column in (*PUBLISHED_FID, "IS"))


def test_statistics_share_a_column_only_where_samples_are_of_imagenet(fake_run):
    """Statistics are a file: nothing says of which images they are but the model's own data."""
    fake_run.evaluation("adm", "cond_ar", **FULL | {"reference": STATISTICS})
    (row,) = ours(rows_of(fake_run, "conditional"))
    assert row["FID (ADM statistics)"] == ""
    assert row["FID (ADM statistics), adm"] == "2.5"


def test_statistics_of_a_model_of_imagenet(tmp_path):
    """Trained on ImageNet, drawn at 256 pixels: beside ADM's, VAR's and MAR's."""
    raw = copy.deepcopy(RAW)
    raw["data"]["digits"] = {"kind": "folder", "path": str(tmp_path / "x"), "expect": "imagenet"}
    touch_image(tmp_path / "x")
    for side, column in ((256, "FID (ADM statistics)"), (512, "FID (ADM statistics), adm")):
        run = FakeRun(tmp_path / str(side), raw)
        run.evaluation("adm", "cond_ar", **FULL | {"reference": STATISTICS})
        made = {"stage": "samples", "version": 1, "settings": {}}
        made["inputs"] = {"samplings": run.node("samplings", "cond_ar")}
        run.card(run.paths.card("samplings", "cond_ar"), made, {"image_size": side})
        (row,) = ours(rows_of(run, "conditional"))
        assert row[column] == "2.5"


def test_seeds_are_one_row(tmp_path):
    """Mean and deviation of three seeds by hand; a sweep over filters is left out."""
    raw = copy.deepcopy(RAW)
    raw["samplings"]["drawn"] = {
        "extends": "cond_ar", "label": "more, draws", "sweep": {"seed": [1, 2, 1003]},
    }  # fmt: skip
    raw["samplings"]["keep"] = {"extends": "cond_ar", "sweep": {"semantic.top_k": [5, 20]}}
    raw["evaluations"]["digits"]["samplings"] += ["drawn", "keep"]
    run = FakeRun(tmp_path, raw)
    distances = {"drawn_seed_1": 1.0, "drawn_seed_2": 1.5, "drawn_seed_1003": 3.5}
    for name, distance in distances.items():
        run.evaluation("digits", name, metrics={"fid": distance, "precision": 0.5})
    for name in ("keep_top_k_5", "keep_top_k_20"):
        run.evaluation("digits", name, metrics={"fid": 0.25})
    (row,) = ours(rows_of(run, "conditional"))
    assert (row["method"], row["seeds_averaged"]) == ("more, draws (ours)", "3")
    assert float(row["FD (cnn)"]) == 2.0
    assert float(row["FD (cnn) std"]) == pytest.approx(statistics.stdev([1.0, 1.5, 3.5]))
    assert float(row["Precision (cnn) std"]) == 0
    assert len(row["cards"].split()) == 3
    assert "2.0 ± 1.3" in to_markdown(BUILD["conditional"](run.collection()))


def test_sets_of_other_counts_stand_apart(fake_run):
    """A distance falls with the number of samples."""
    fake_run.evaluation("digits", "cond_ar")
    fake_run.evaluation("digits", "cond_nar", count=500)
    first, second = ours(rows_of(fake_run, "conditional"))
    assert first["FD (cnn), digits, n = 1,000"] == "3.0625"
    assert second["FD (cnn), digits, n = 500"] == "2.03125"
    assert first["FD (cnn), digits, n = 500"] == ""
    assert "FD (cnn)" not in first


def test_two_evaluations_of_one_set_are_one_row(fake_run):
    """Each has columns of its own."""
    fake_run.evaluation("digits", "cond_ar")
    other = {"name": "big", "kind": "classifier", "digest": "b" * 64}
    fake_run.evaluation("other", "cond_ar", extractor=other, names={})
    (row,) = ours(rows_of(fake_run, "conditional"))
    assert (row["FD (cnn)"], row["FD (big)"]) == ("3.0625", "3.0625")


def test_no_set_no_table(fake_run):
    """Published rows alone are no result of this run."""
    fake_run.evaluation("digits", "vq")
    assert BUILD["conditional"](fake_run.collection()) is None
    assert BUILD["unconditional"](fake_run.collection()) is not None


def test_headings_are_narrow_on_paper(finished):
    """A heading of two words stands on two lines."""
    head = to_latex(BUILD["conditional"](finished.collection())).split(r"\toprule")[1]
    assert r"\shortstack{FID\\(val.) $\downarrow$}" in head
    assert r"\shortstack{Score\\(cnn) $\uparrow$}" in head
    table = BUILD["conditional"](finished.collection())
    lines = [line for column in table.visible for line in column.title.split("\n")]
    assert max(map(len, lines)) <= 8
