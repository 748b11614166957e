"""The ablation's steps and the lines of the cluster figure are what the cards say."""

import copy

import pytest
from tests.unit.report.conftest import RAW, SWEPT, FakeRun
from tests.unit.report.test_literature import rows_of

from tessera.report.figures.cluster_counts import alike
from tessera.report.figures.draw import DRAW
from tessera.report.style import house_style
from tessera.report.tables.build import BUILD

EVALUATED = {
    "extractor": {"name": "cnn", "kind": "classifier", "digest": "e" * 64},
    "reference": {"split": "train", "count": 1437, "digest": "r" * 64},
    "weights": "raw",
}
"""What the card of an evaluation says beside its numbers."""


@pytest.fixture
def run(tmp_path) -> FakeRun:
    """A run whose config has an ablation."""
    return FakeRun(tmp_path, SWEPT)


def draw(run: FakeRun, name: str):
    """A figure, or None."""
    with house_style():
        return DRAW[name](run.collection())


def test_steps_are_rows_in_the_order_of_the_config(run):
    """Label, tokens, updates and size of stage 1, and the numbers by their protocol's names."""
    run.all()
    vq, nar = rows_of(run, "ablation")
    assert [row["step"] for row in (vq, nar)] == ["VQ tokens", "cond_nar"]
    assert [row["tokens"] for row in (vq, nar)] == ["VQ codes", "semantic"]
    # 100 updates of 8 images, of which there are 100.
    assert (vq["steps"], vq["epochs"], vq["parameters"]) == ("100", "8.0", "12345")
    assert (nar["parameters"], nar["stage2_parameters"]) == ("11111", "33333")
    assert (nar["FD (cnn)"], nar["classifier score (cnn)"]) == ("2.03125", "8.0")
    assert BUILD["ablation"](run.collection()).best == {
        (1, "FD (cnn)"), (1, "classifier score (cnn)"),
    }  # fmt: skip


def test_a_row_says_all_that_it_changes(tmp_path):
    """One setting, two at once, none but a seed; and all that comes with other tokens."""
    raw = copy.deepcopy(SWEPT)
    raw["stage1"]["longer"] = {"extends": "gpt", "training": {"steps": 200}}
    for name, changed in {
        "longer": {"stage1": "longer"},
        "both": {"stage1": "longer", "semantic": {"temperature": 0.5}},
        "again": {"stage1": "longer", "semantic": {"temperature": 0.5}, "seed": 7},
    }.items():
        raw["samplings"][name] = {"extends": "cond_nar", **changed}
        raw["evaluations"]["digits"]["samplings"].append(name)
    rows = [{"sampling": name} for name in ("vq", "cond_nar", "longer", "both")]
    raw["paper"]["ablation"]["rows"] = rows
    run = FakeRun(tmp_path, raw)
    for row in (*rows, {"sampling": "again"}):
        run.evaluation("digits", row["sampling"], metrics={"fid": 1.0})
    found = rows_of(run, "ablation")
    assert [row["changed"] for row in found[2:]] == ["updates", "draws"]
    assert found[0]["changed"] == ""
    assert {"tokens", "stage 2"} <= set(found[1]["changed"].split(", "))
    # What differs in a seed alone is another draw of the same step.
    assert [row["seeds_averaged"] for row in found] == ["", "", "", "2"]


def test_the_bars_are_the_cards_numbers(run):
    """A panel for the distance and one for the score, a bar a step."""
    run.all()
    distance, score = draw(run, "ablation").axes
    assert [bar.get_height() for bar in distance.patches] == [9.123456789012345, 2.03125]
    assert [bar.get_height() for bar in score.patches] == [4.0, 8.0]
    assert [text.get_text() for text in distance.get_xticklabels()] == ["VQ tokens", "cond_nar"]
    assert distance.get_ylabel() == "FD (cnn)\nlower is better"
    assert score.get_ylabel() == "classifier score (cnn)\nhigher is better"


def test_a_step_of_several_seeds_is_their_mean(tmp_path):
    """Named by the swept variant; by hand: the mean of 1 and 2, and 1 / sqrt(2) beside it."""
    raw = copy.deepcopy(SWEPT)
    raw["samplings"]["vq"]["sweep"] = {"seed": [1, 2]}
    run = FakeRun(tmp_path, raw)
    for name, distance in (("vq_seed_1", 1.0), ("vq_seed_2", 2.0), ("cond_nar", 0.5)):
        run.evaluation("digits", name, metrics={"fid": distance})
    vq, nar = rows_of(run, "ablation")
    assert (vq["FD (cnn)"], vq["seeds_averaged"]) == ("1.5", "2")
    assert float(vq["FD (cnn) std"]) == pytest.approx(0.5**0.5)
    assert (nar["FD (cnn)"], nar["FD (cnn) std"], nar["seeds_averaged"]) == ("0.5", "", "")
    (axes,) = draw(run, "ablation").axes
    assert [bar.get_height() for bar in axes.patches] == [1.5, 0.5]
    (bar,) = [lines for lines in axes.collections if len(lines.get_segments())]
    assert bar.get_segments()[0][:, 1] == pytest.approx([1.5 - 0.5**0.5, 1.5 + 0.5**0.5])


def test_seeds_below_the_evaluation_as_well(tmp_path):
    """Each of its points measures the sample set of its own seed; by hand: the mean of 1 and 2."""
    raw = copy.deepcopy(RAW)
    raw["paper"] = SWEPT["paper"]
    raw["data"]["digits"]["sweep"] = {"seed": [0, 1]}
    run = FakeRun(tmp_path, raw)
    for seed, distance in ((0, 1.0), (1, 2.0)):
        name = f"digits_seed_{seed}"
        for each in (f"vq_seed_{seed}", f"cond_nar_seed_{seed}"):
            made = {"count": 1000, "metrics": {"fid": distance}, "names": {"fid": "FD (cnn)"}}
            path = run.paths.pair("evaluations", name, each)
            run.card(path, run.node("evaluations", name, each), EVALUATED | made)
    rows = rows_of(run, "ablation")
    assert [row["step"] for row in rows] == ["VQ tokens", "cond_nar"]
    assert [(row["FD (cnn)"], row["seeds_averaged"]) for row in rows] == [("1.5", "2")] * 2


def test_other_evaluations_are_no_part_of_it(run):
    """The numbers of one evaluation are comparable, and only these."""
    run.evaluation("digits", "vq")
    run.evaluation("digits", "cond_nar")
    run.evaluation("other", "vq", metrics={"fid": 0.125})
    assert [row["FD (cnn)"] for row in rows_of(run, "ablation")] == ["9.123456789012344", "2.03125"]


def test_without_an_ablation_there_is_none(finished):
    """Neither table nor figure."""
    assert BUILD["ablation"](finished.collection()) is None
    assert draw(finished, "ablation") is None


def test_an_evaluation_without_distance_and_score_is_said(run):
    """In words, in place of an empty box."""
    run.evaluation("digits", "vq", metrics={"precision": 0.5})
    assert "neither a distance nor a score" in draw(run, "ablation").axes[0].texts[0].get_text()


def test_lines_of_models_that_differ_in_clusters_alone(finished):
    """A line a number of clusters, in their order; the model over VQGAN codes has none."""
    (axes,) = draw(finished, "clusters").axes
    assert [line.get_label() for line in axes.lines] == ["4", "8"]
    assert [list(line.get_xdata()) for line in axes.lines] == [[0, 1, 2]] * 2
    assert [list(line.get_ydata()) for line in axes.lines] == [
        [25.0, 87.5, 50.0],
        [25.0, 50.0, 62.5],
    ]


@pytest.mark.parametrize(
    ("section", "name", "change"),
    [
        ("stage1", "free8", {"training": {"steps": 101}}),
        ("stage1", "free8", {"model": {"layers": 3}}),
        ("stage1", "free8", {"norm": "pre"}),
        ("codebooks", "k8", {"iterations": 21}),
    ],
)
def test_models_with_other_settings_are_left_out(tmp_path, section, name, change):
    """They differ in more than clusters: there is nothing to compare, and the figure says so."""
    raw = copy.deepcopy(RAW)
    raw[section][name] |= change
    run = FakeRun(tmp_path, raw)
    run.probes()
    assert alike(run.collection()) == []
    assert "clusters alone" in draw(run, "clusters").axes[0].texts[0].get_text()


def test_seeds_of_a_model_are_averaged(tmp_path):
    """By hand: layer 1 of two seeds has 0.25 and 0.75."""
    raw = copy.deepcopy(RAW)
    raw["stage1"]["free8"]["sweep"] = {"training.seed": [5, 6]}
    run = FakeRun(tmp_path, raw)
    for name, top1 in (("free", 0.125), ("free8_seed_5", 0.25), ("free8_seed_6", 0.75)):
        made = {"layers": [{"layer": 1, "top1": top1, "top5": 1.0}], "best_layer": 1}
        run.card(run.paths.pair("probes", "linear", name), run.node("probes", "linear", name), made)
    (group,) = alike(run.collection())
    assert list(group.lines) == [4, 8]
    ((layer, spread),) = group.lines[8]
    assert (layer, spread.mean, spread.count) == (1, 0.5, 2)
    assert spread.std == pytest.approx(0.125**0.5)


def test_one_number_of_clusters_makes_no_figure(tmp_path):
    """Nor does the workflow ask for it."""
    raw = copy.deepcopy(RAW)
    raw["codebooks"]["k8"]["clusters"] = 4
    run = FakeRun(tmp_path, raw)
    run.probes()
    assert draw(run, "clusters") is None
