"""Training curves, throughput, codebook usage and time, also of sweeps with many points."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex

from tessera.config.points import Point
from tessera.report.collection import Card, Collection
from tessera.report.figures.draw import draw_figures
from tessera.report.figures.log_ticks import log_ticks
from tessera.report.figures.throughput import rates, throughput
from tessera.report.figures.time import time
from tessera.report.figures.training_curves import training_curves
from tessera.report.figures.usage import usage
from tessera.report.style import COLOURS, house_style, new_figure
from tessera.report.sweep_groups import Group, sweep_groups, thinned


def card(
    stage: str,
    path: str,
    results: dict[str, Any] | None = None,
    folder: Path = Path("nowhere"),
    inputs: dict[str, Any] | None = None,
    **run: Any,
) -> Card:
    """A card of a stage; `path` is that of the job, which makes each node another one."""
    node = {"stage": stage, "settings": {"path": path}, "inputs": inputs or {}, "version": 1}
    facts = {"seconds": 2.0, "device": "cpu"} | run
    return Card(f"{path}.json", folder, stage, node, results or {}, facts, "d" * 64)


def training(stage: str, section: str, name: str, steps: int = 100, **options: Any) -> Card:
    results = {"steps": steps, "batch": 8}
    return card(stage, f"{section}/{name}/card", results, **options)


def swept(section: str, base: str, count: int) -> dict[str, dict[str, Point]]:
    """So many points of one variant: base_seed_0, base_seed_1, …."""
    return {section: {f"{base}_seed_{i}": Point(base, {"training.seed": i}) for i in range(count)}}


def labelled(section: str, points: dict[str, dict[str, Point]], label: str) -> dict[str, Any]:
    """Labels of points as sweeps give them."""
    return {
        section: {
            name: f"{label}, seed {point.settings['training.seed']}"
            for name, point in points[section].items()
        }
    }


def test_points_of_a_sweep_are_one_group():
    """In the order of the config, under what their labels have in common."""
    points = swept("stage1", "gpt", 3)
    cards = [training("stage1", "stage1", name) for name in ("vq", *points["stage1"], "other")]
    labels = labelled("stage1", points, "DiGIT, large")
    found = sweep_groups(Collection(cards, labels, points), cards)
    assert [(group.name, len(group.cards), group.points) for group in found] == [
        ("vq", 1, 1),
        ("DiGIT, large", 3, 3),
        ("other", 1, 1),
    ]


def test_two_sweeps_of_one_label_are_told_apart():
    """By the setting that each sweeps; a label that one alone has stays as it is."""
    axes = {"keep": "semantic.top_k", "mass": "semantic.top_p", "draws": "seed"}
    points = {
        "samplings": {
            f"{base}_{i}": Point(base, {axis: i}) for base, axis in axes.items() for i in (1, 2)
        }
    }
    labels = {
        "samplings": {
            f"{base}_{i}": f"{label}, {text} {i}"
            for base, label, text in (
                ("keep", "stage 1", "top-k"),
                ("mass", "stage 1", "top-p"),
                ("draws", "DiGIT", "seed"),
            )
            for i in (1, 2)
        }
    }
    cards = [
        card("sampling", f"samplings/{name}/part-0000-of-0001") for name in points["samplings"]
    ]
    found = sweep_groups(Collection(cards, labels, points), cards)
    assert [(group.name, group.points) for group in found] == [
        ("stage 1, top-k", 2),
        ("stage 1, top-p", 2),
        ("DiGIT", 2),
    ]


def test_jobs_of_one_variant_are_one_variant():
    """Parts and entries are no points."""
    cards = [card("evaluation", f"evaluations/digits/{name}") for name in "abc"]
    (group,) = sweep_groups(Collection(cards), cards)
    assert (group.name, len(group.cards), group.points) == ("digits", 3, 1)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([1, 1], [[0], [0]]),
        ([5], [[0, 1, 2, 3, 4]]),
        ([20], [[0, 4, 8, 11, 15, 19]]),
        ([1, 9, 1], [[0], [0, 3, 5, 8], [0]]),
        ([9, 9], [[0, 4, 8], [0, 4, 8]]),
        ([3, 9, 1], [[0, 1, 2], [0, 8], [0]]),
        ([2] * 8, [[0]] * 6),
    ],
)
def test_thinned_to_six(sizes, expected):
    """Every group has one as long as there is room; of a sweep, its ends and what lies between."""
    groups = [
        Group(str(place), [training("stage1", "stage1", f"{place}_{i}") for i in range(size)], size)
        for place, size in enumerate(sizes)
    ]
    found: list[list[int]] = [[] for _ in expected]
    for place, one in thinned(groups, 6):
        found[place].append(list(groups[place].cards).index(one))
    assert found == expected


def logged(folder: Path, stage: str, section: str, name: str, loss: float) -> Card:
    """A training with a log of two lines."""
    place = folder / section / name
    place.mkdir(parents=True)
    (place / "metrics.jsonl").write_text(
        f'{{"step": 1, "loss": {loss}}}\n'
        f'{{"step": 50, "loss": {loss / 2}, "validation_loss": {loss / 4}}}\n'
    )
    return training(stage, section, name, folder=place)


def test_curves_are_the_logged_numbers(tmp_path):
    """A line a training, an open mark where the validation split was read."""
    cards = [
        logged(tmp_path, "extractor", "extractors", "cnn", 8.0),
        logged(tmp_path, "stage1", "stage1", "gpt", 4.0),
    ]
    with house_style():
        first, second = training_curves(Collection(cards)).axes
    assert [axes.get_title(loc="left") for axes in (first, second)] == ["Extractor", "Stage 1"]
    line, marks = second.lines
    assert line.get_xydata().tolist() == [[1, 4], [50, 2]]
    assert marks.get_xydata().tolist() == [[50, 1]]
    assert marks.get_markerfacecolor() == "white"


def test_a_sweep_has_one_colour(tmp_path):
    """Of 13 trainings a panel draws six, the points of one sweep in one colour, and says so."""
    points = swept("stage1", "gpt", 11)
    names = [*points["stage1"], "vq", "free"]
    cards = [logged(tmp_path, "stage1", "stage1", name, 4.0 + i) for i, name in enumerate(names)]
    labels = labelled("stage1", points, "DiGIT")
    with house_style():
        (axes,) = training_curves(Collection(cards, labels, points)).axes
    lines = [line for line in axes.lines if line.get_linestyle() != "None"]
    assert [line.get_ydata()[0] for line in lines] == [4, 7, 11, 14, 15, 16]
    assert [line.get_color() for line in lines] == [*[COLOURS[0]] * 4, COLOURS[1], COLOURS[2]]
    styles = {str(line._dash_pattern) for line in lines[:4]}
    assert len(styles) == 4
    legend = axes.get_legend()
    assert legend.get_title().get_text() == "6 of 13 trainings"
    assert [text.get_text() for text in legend.get_texts()] == [
        "DiGIT, seed 0", "DiGIT, seed 3", "DiGIT, seed 7", "DiGIT, seed 10", "vq", "free",
    ]  # fmt: skip


def test_rates():
    """Images over seconds: steps times batch, the views of tokens, samples and what is compared."""
    tokens = card(
        "tokens", "tokens/codes/train/part-0000-of-0002",
        {"images": 100, "views": 3, "length": 16}, seconds=10.0,
    )  # fmt: skip
    more = card(
        "tokens", "tokens/codes/train/part-0001-of-0002",
        {"images": 20, "views": 3, "length": 16}, seconds=2.0,
    )  # fmt: skip
    cards = Collection(
        [
            training("encoder", "encoders", "vit", seconds=4.0),
            tokens,
            more,
            training("stage1", "stage1", "gpt", inputs={"tokens": tokens.node}, device="H100"),
            training("stage1", "stage1", "resumed", resumed_at=60),
            training("stage1", "stage1", "only_written", resumed_at=100),
            training("stage2", "stage2", "ar", inputs={"codes": tokens.node, "semantic": {}}),
            card("sampling", "samplings/set/part-0000-of-0001", {"images": 50}, seconds=5.0),
            card("evaluation", "evaluations/digits/set", {"count": 50}, seconds=0.5),
            card("usage", "usage/codes/card", {"codes": 99}),
        ]
    )
    assert [(r.stage, r.name, r.images, r.tokens, r.device) for r in rates(cards)] == [
        ("encoder", "vit", 200.0, None, "cpu"),
        ("tokens", "codes", 30.0, None, "cpu"),
        ("stage1", "gpt", 400.0, 6400.0, "H100"),
        ("stage1", "resumed", 160.0, None, "cpu"),
        ("stage2", "ar", 400.0, 6400.0, "cpu"),
        ("sampling", "set", 10.0, None, "cpu"),
        ("evaluation", "digits", 100.0, None, "cpu"),
    ]


def test_rates_of_sweeps():
    """The points of a sweep are one bar; of many variants the last ones are told as one."""
    points = swept("stage1", "gpt", 60)
    sweep = [training("stage1", "stage1", name, 10 * i) for i, name in enumerate(points["stage1"])]
    others = [training("stage2", "stage2", f"m{i}", seconds=1.0 + (i > 6)) for i in range(10)]
    found = rates(Collection([*sweep, *others], labelled("stage1", points, "GPT"), points))
    # 0 + 10 + … + 590 updates of 8 images, the first point without any, in 59 jobs of 2 s.
    assert (found[0].name, found[0].images) == ("GPT (59 variants)", 8 * 17_700 / (59 * 2))
    assert [rate.name for rate in found[1:]] == [
        *(f"m{i}" for i in range(7)),
        "others (3 variants)",
    ]
    assert found[-1].images == 3 * 800 / 6


def test_throughput_bars():
    """A bar a rate on a logarithmic axis with plain numbers, a colour a device."""
    cards = Collection(
        [
            training("encoder", "encoders", "vit"),
            training("stage1", "stage1", "gpt", 10_000, device="H100"),
        ]
    )
    with house_style():
        figure = throughput(cards)
        (axes,) = figure.axes
        figure.draw_without_rendering()
    assert [bar.get_width() for bar in axes.patches] == [400, 40_000]
    assert [to_hex(bar.get_facecolor()) for bar in axes.patches] == [
        colour.lower() for colour in COLOURS[:2]
    ]
    assert axes.get_xscale() == "log"
    assert "no benchmark" in axes.get_xlabel()
    ticks = [text.get_text() for text in axes.get_xticklabels()]
    assert {"1,000", "10,000"} <= set(ticks)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["cpu", "H100"]
    assert throughput(Collection([card("shards", "shards/digits/card")])) is None


def test_no_rate_is_said_in_words():
    """A training that only wrote its result has no throughput."""
    figure = throughput(Collection([training("stage1", "stage1", "gpt", resumed_at=100)]))
    assert "No card says" in figure.axes[0].texts[0].get_text()


def counted(folder: Path, name: str, codes: list[int] | None) -> Card:
    """A usage card, and the histogram beside it."""
    place = folder / name
    place.mkdir()
    if codes is not None:
        np.savez(place / "histograms.npz", codes=np.array(codes))
    results = {"dead": 2, "vocabulary": 6, "entropy_bits": 1.75, "perplexity": 3.3636}
    return card("usage", f"usage/{name}/card", results, place)


def test_usage_is_the_sorted_histogram(tmp_path):
    """Shares by rank, without the codes that never come, which the legend tells."""
    with house_style():
        figure = usage(Collection([counted(tmp_path, "semantic", [0, 2, 8, 0, 4, 2])]))
    (line,) = figure.axes[0].lines
    assert line.get_xydata().tolist() == [[1, 0.5], [2, 0.25], [3, 0.125], [4, 0.125]]
    assert figure.axes[0].get_xscale() == figure.axes[0].get_yscale() == "log"
    (text,) = figure.legends[0].get_texts()
    assert text.get_text() == ("semantic\n2 of 6 codes never come\n1.75 bits, perplexity 3.36")


def test_usage_without_histograms(tmp_path):
    """They may lie elsewhere: one that is absent is counted as not shown, none is said in words."""
    there, absent = counted(tmp_path, "a", [1, 1]), counted(tmp_path, "b", None)
    with house_style():
        figure = usage(Collection([there, absent]))
    assert figure.legends[0].get_title().get_text() == "1 of 2 token sets"
    said = usage(Collection([absent])).axes[0].texts[0].get_text()
    assert said == "No histogram lies beside the cards of the stage usage."
    assert usage(Collection([])) is None


def test_time_of_a_sweep_is_one_piece():
    """Above twenty jobs the points are one piece, with their name and number."""
    points = swept("samplings", "set", 60)
    cards = [
        card("sampling", f"samplings/{name}/part-0000-of-0001") for name in points["samplings"]
    ]
    cards += [card("sampling", "samplings/vq/part-0000-of-0001", seconds=30.0)]
    labels = labelled("samplings", points, "DiGIT")
    with house_style():
        (axes,) = time(Collection(cards, labels, points)).axes
    assert [bar.get_width() for bar in axes.patches] == [120.0, 30.0]
    assert {"DiGIT (60 variants)", "vq"} <= {text.get_text() for text in axes.texts}


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ((1, 150), ["1", "2", "5", "10", "20", "50", "100"]),
        ((0.5, 5e4), ["1", "10", "100", "1,000", "10,000"]),
    ],
)
def test_log_ticks(limits, expected):
    """Plain numbers: a formula would show its source."""
    axes = new_figure(3, 2).subplots()
    axes.set_xscale("log")
    axes.set_xlim(*limits)
    log_ticks(axes.xaxis)
    axes.figure.draw_without_rendering()
    low, high = limits
    shown = [
        label.get_text()
        for place, label in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
        if low <= place <= high
    ]
    assert shown == expected


def test_no_figure_shows_a_formula(finished):
    """No label of any figure has the source of mathematics in it."""
    for name, figure in draw_figures(finished.collection()):
        figure.draw_without_rendering()
        texts = [
            text.get_text()
            for axes in figure.axes
            for text in (*axes.get_xticklabels(), *axes.get_yticklabels())
        ]
        assert not [text for text in texts if "mathdefault" in text], name
