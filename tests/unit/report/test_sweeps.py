"""Sweeps in tables and figures: points, their settings, and seeds told as mean and deviation."""

import copy
import csv
import io
import statistics
from itertools import product

import pytest
from tests.unit.report.conftest import RAW, SWEPT, FakeRun

from tessera.report.figures.sampling_sweep import METRICS, sampling_sweep
from tessera.report.outputs import SWEPT_FILTERS, figure_names, table_names
from tessera.report.render import to_csv, to_html, to_latex, to_markdown
from tessera.report.style import house_style
from tessera.report.swept import swept, text_of
from tessera.report.tables.sweeps import sweeps
from tessera.report.tables.tidy import results

TOP_K, TOP_P, SEED = "samplings.semantic.top_k", "samplings.codes.top_p", "samplings.seed"
FID = {  # the numbers of tests/unit/report/conftest.py: the n-th point has 1 + n / 4
    "keep_seed_1_top_k_5": 1.0,
    "keep_seed_1_top_k_20": 1.25,
    "keep_seed_1_top_k_none": 1.5,
    "keep_seed_2_top_k_5": 1.75,
    "keep_seed_2_top_k_20": 2.0,
    "keep_seed_2_top_k_none": 2.25,
    "mass_top_p_0p4": 2.5,
    "mass_top_p_0p9": 2.75,
    "other_top_p_0p5": 3.0,
    "other_top_k_9": 3.25,
}


def read(table) -> list[dict[str, str]]:
    """A table's CSV file, read back."""
    return list(csv.DictReader(io.StringIO(to_csv(table))))


@pytest.fixture
def run(tmp_path) -> FakeRun:
    """The evaluations of a run with sweeps."""
    made = FakeRun(tmp_path, SWEPT)
    made.evaluations()
    return made


def drawn(run: FakeRun):
    with house_style():
        return sampling_sweep(run.collection())


def test_every_number_says_its_point(run):
    """`results.csv`: the base, and a column a swept setting, empty where that is not swept."""
    rows = [row for row in read(results(run.collection())) if row["metric"] == "FD (cnn)"]
    names = ["stage", "variant", "metric", "value", "unit", "card", "base", SEED, TOP_K, TOP_P]
    assert list(rows[0]) == [*names, "samplings.semantic.top_p", "samplings.codes.top_k"]
    found = {row["variant"]: row for row in rows}
    assert {name: float(found[f"digits/{name}"]["value"]) for name in FID} == FID
    point = found["digits/keep_seed_2_top_k_none"]
    assert [point[name] for name in names[6:]] == ["keep", "2", "none", ""]
    assert [found["digits/mass_top_p_0p4"][name] for name in names[6:]] == ["mass", "", "", "0.4"]
    assert [found["digits/cond_ar"][name] for name in names[6:]] == ["", "", "", ""]


def test_seeds_are_one_row_with_mean_and_deviation(run):
    """By hand: three numbers of codes over two seeds each, and two shares without any."""
    table = sweeps(run.collection())
    rows = [
        (row["base"], row[TOP_K], row[TOP_P], row["n"], row["FD (cnn)"], row["FD (cnn) std"])
        for row in read(table)
    ]
    deviation = repr(statistics.stdev([1.0, 1.75]))
    assert rows == [
        ("keep", "5", "", "2", "1.375", deviation),
        ("keep", "20", "", "2", "1.625", deviation),
        ("keep", "none", "", "2", "1.875", deviation),
        ("mass", "", "0.4", "1", "2.5", ""),
        ("mass", "", "0.9", "1", "2.75", ""),
        ("other", "", "", "1", "3.0", ""),
        ("other", "", "", "1", "3.25", ""),
    ]
    assert SEED not in read(table)[0]
    text = to_markdown(table)
    assert "| stage 1 | top-k 20 | 2" in " ".join(text.split()).replace(" |", " |")
    assert "1.62 ± 0.53" in text
    assert all(render(table) for render in (to_latex, to_html))


def test_points_of_what_they_stand_on(tmp_path):
    """A model for each number of clusters: its probe and its loss, by the codebook's setting."""
    raw = copy.deepcopy(RAW)
    raw["codebooks"]["k8"]["sweep"] = {"clusters": [8, 16]}
    run = FakeRun(tmp_path, raw)
    for clusters, loss, top1 in ((8, 1.5, 0.25), (16, 1.25, 0.75)):
        name = f"free8_clusters_{clusters}"
        run.training("stage1", name, validation={"loss": loss})
        made = {"layers": [], "best_layer": 0, "top1": top1}
        run.card(run.paths.pair("probes", "linear", name), run.node("probes", "linear", name), made)
    (first, second) = read(sweeps(run.collection()))
    assert (first["section"], first["base"], first["codebooks.clusters"]) == (
        "stage1",
        "free8",
        "8",
    )
    assert [first["top-1"], second["top-1"]] == ["0.25", "0.75"]
    assert [first["validation loss"], second["validation loss"]] == ["1.5", "1.25"]


def test_the_point_of_a_measuring_variant_that_is_swept_too(tmp_path):
    """The settings of both; the base is that of what is measured."""
    raw = copy.deepcopy(SWEPT)
    raw["evaluations"]["digits"]["sweep"] = {"seed": [0, 1]}
    run = FakeRun(tmp_path, raw)
    node = run.node("evaluations", "digits_seed_1", "mass_top_p_0p4")
    path = run.paths.pair("evaluations", "digits_seed_1", "mass_top_p_0p4")
    run.card(path, node, {"metrics": {}})
    (card,) = run.collection().cards
    point = swept(run.collection(), card)
    assert (point.section, point.base) == ("samplings", "mass")
    assert point.settings == {TOP_P: 0.4, "evaluations.seed": 1}


def test_points_as_people_read_them():
    """Short words, unless two settings end alike."""
    assert text_of({TOP_K: 5000}) == "top-k 5,000"
    assert text_of({"codebooks.clusters": 32, TOP_K: "none"}) == "clusters 32, top-k all"
    both = {TOP_K: 5, "samplings.codes.top_k": 7}
    assert text_of(both) == "semantic top-k 5, codes top-k 7"


def test_without_sweeps_there_is_neither_table_nor_figure(finished):
    """And the workflow does not ask for them."""
    assert sweeps(finished.collection()) is None
    assert drawn(finished) is None
    assert "sweeps" not in table_names(finished.config)
    assert "sampling_sweep" not in figure_names(finished.config)


def test_the_workflow_asks_for_both(run):
    """A sweep over seeds alone has a table and no figure."""
    assert "sweeps" in table_names(run.config)
    assert "sampling_sweep" in figure_names(run.config)
    raw = copy.deepcopy(RAW)
    raw["samplings"]["vq"]["sweep"] = {"seed": [1, 2]}
    seeds = FakeRun(run.folder / "seeds", raw)
    assert "sweeps" in table_names(seeds.config)
    assert "sampling_sweep" not in figure_names(seeds.config)


def test_a_sweep_of_what_nothing_measures_still_has_its_rows(tmp_path):
    """The workflow was promised the file."""
    raw = copy.deepcopy(RAW)
    raw["codebooks"]["k8"]["sweep"] = {"clusters": [8, 16]}
    run = FakeRun(tmp_path, raw)
    run.card(run.paths.card("codebooks", "k8_clusters_16"), run.node("codebooks", "k8_clusters_16"),
             {"clusters": 16})  # fmt: skip
    assert [row["codebooks.clusters"] for row in read(sweeps(run.collection()))] == ["16"]
    assert "sweeps" in table_names(run.config)


def test_the_figure_holds_the_means(run):
    """A panel a setting and measure; null stands at the right end; bars are deviations.

    The sample set that was swept from, with its 100 codes, stands on the line too.
    """
    figure = drawn(run)
    panels = dict(zip(product(METRICS, SWEPT_FILTERS), figure.axes, strict=True))
    distance_k, score_k = (panels[metric, "semantic.top_k"] for metric in METRICS)
    distance_p = panels["fid", "codes.top_p"]
    line, _, (bars,) = distance_k.containers[0].lines
    assert line.get_ydata().tolist() == [1.375, 1.625, 3.0625, 1.875]
    assert line.get_xdata().tolist()[:3] == [5, 20, 100]
    assert line.get_xdata()[3] > 100
    heights = [(path[1] - path[0])[1] / 2 for path in bars.get_segments()]
    assert heights == pytest.approx(
        [statistics.stdev([1, 1.75])] * 2 + [0.0] + [statistics.stdev([1, 1.75])]
    )
    assert distance_p.containers[0].lines[0].get_xydata().tolist() == [
        [0.4, 2.5],
        [0.8, 3.0625],
        [0.9, 2.75],
    ]
    assert score_k.containers[0].lines[0].get_ydata().tolist() == [8.625, 8.375, 8.5, 8.125]
    figure.canvas.draw()
    assert [t.get_text() for t in score_k.get_xticklabels()] == ["5", "20", "100", "all"]
    assert "FD (cnn)" in distance_k.get_ylabel()


def test_protocols_never_share_an_axis(run):
    """Other reference images are another row, and so are sets of another size."""
    reference = {"split": "validation", "count": 360, "digest": "v" * 64}
    for name in FID:
        run.evaluation("held_out", name, reference=reference)
        run.evaluation("few", name, reference=reference, count=100)
    figure = drawn(run)
    assert len(figure.axes) == 24
    assert len({axes.get_ylabel() for axes in figure.axes} - {""}) == 6


def test_a_point_far_off_makes_the_scale_logarithmic(run):
    """The distances of the others stay apart; scores of one size stay as they are."""
    run.evaluation("digits", "keep_seed_1_top_k_5", metrics={"fid": 99.0, "is": 8.0})
    figure = drawn(run)
    assert [axes.get_yscale() for axes in figure.axes] == ["log"] * 4 + ["linear"] * 4
    figure.canvas.draw()
    ticks = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert "10" in ticks


def test_a_grid_of_both_stages_is_a_line_a_value_of_the_other(tmp_path):
    """Named by what is held."""
    raw = copy.deepcopy(RAW)
    raw["samplings"]["keep"] = {
        "extends": "cond_ar",
        "label": "both",
        "sweep": {"semantic.top_k": [5, 20], "codes.top_p": [0.4, 0.9, None]},
    }
    raw["evaluations"]["digits"]["samplings"] = ["keep"]
    run = FakeRun(tmp_path, raw)
    for name in run.config.evaluations["digits"].samplings:
        run.evaluation("digits", name)
    top_k, top_p, *_ = drawn(run).axes
    assert [text.get_text() for text in top_k.get_legend().get_texts()] == [
        "both, top-p 0.4",
        "both, top-p 0.9",
        "both, top-p all",
    ]
    assert len(top_p.containers) == 2


def test_no_distance_and_no_score_is_said_in_words(run):
    """Where an evaluation computes precision and recall alone."""
    for name in FID:
        run.evaluation("digits", name, metrics={"precision": 0.5, "recall": 0.5})
    (axes,) = drawn(run).axes
    assert "No evaluation computed" in axes.texts[0].get_text()
