"""Figures are drawn, legible files, and the same every time."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from tests.unit.report.conftest import SWEPT, FakeRun

from tessera.io.cards import read_card
from tessera.report.figures.draw import draw_figures
from tessera.report.outputs import (
    FIGURES,
    TABLES,
    figure_names,
    first_cards,
    further_parts,
    table_files,
    table_names,
)
from tessera.report.style import COLOURS
from tessera.stages import tables


def drawn(run) -> dict:
    """Name → figure."""
    return dict(draw_figures(run.collection()))


def test_every_figure_is_drawn(figured):
    """The stage writes a PNG and a PDF a figure, none of them blank, and names all in its card."""
    folder = figured.results / "figures"
    card = read_card(folder / "card.json", "figures")
    assert sorted(card["outputs"]) == sorted(
        f"{name}.{kind}" for name in FIGURES for kind in ("png", "pdf")
    )
    assert card["inputs"]["stage1/gpt/card.json"]
    for name in FIGURES:
        pixels = np.asarray(Image.open(folder / f"{name}.png").convert("L"), dtype=float)
        assert pixels.shape[1] >= 600
        assert pixels.std() > 10
        assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF")


DRAW_AGAIN = """
import sys
from pathlib import Path
from tessera.config.load import load
from tessera.report.collection import collect, labels_of
from tessera.report.figures.draw import draw_figures
from tessera.report.style import save

results, folder, *cards = (Path(argument) for argument in sys.argv[1:])
config = load([results.parent / "config.json"])
for name, figure in draw_figures(collect(cards, results, labels_of(config), config.points)):
    if name in ("bubbles", "generation", "stability"):
        save(figure, folder / f"{name}.png", folder / f"{name}.pdf")
"""


def test_equal_cards_give_equal_bytes(figured, tmp_path):
    """Another process with another hash seed, at another time, writes the same bytes."""
    cards = [str(file) for file in figured.files]
    subprocess.run(
        [sys.executable, "-W", "error", "-c", DRAW_AGAIN, figured.results, tmp_path, *cards],
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "123", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    files = sorted(tmp_path.iterdir())
    assert len(files) == 6
    for file in files:
        content = file.read_bytes()
        assert content == (figured.results / "figures" / file.name).read_bytes()
        assert b"CreationDate" not in content


def test_lines_are_the_cards_numbers(finished):
    """What is drawn are the cards' values."""
    probe = drawn(finished)["linear_probe"].axes[0]
    assert [list(line.get_ydata()) for line in probe.lines] == [
        [25.0, 87.5, 50.0],
        [12.5, 37.5, 75.0],
        [25.0, 50.0, 62.5],
    ]
    changed, cosine = drawn(finished)["stability"].axes
    assert list(changed.lines[0].get_xdata()) == [0.01, 10.0, 30.0]
    assert list(changed.lines[1].get_ydata()) == [0.9375, 0.75, 0.1875]
    assert list(cosine.lines[0].get_ydata()) == [0.84375, 0.875, 0.96875]
    assert changed.get_xlim()[0] > changed.get_xlim()[1]  # more noise to the right
    assert max(cosine.get_yticks()) <= 1 < cosine.get_ylim()[1]
    bars = [bar.get_width() for bar in drawn(finished)["generation"].axes[0].patches]
    assert bars == [3.0625, 2.03125, 9.123456789012345]
    objective, sizes = drawn(finished)["codebook"].axes
    assert list(objective.lines[0].get_ydata()) == [2.0005, 1.50025, 1.400125]
    assert list(sizes.lines[0].get_ydata()) == [960, 30, 10, 0]


def test_time_adds_up(finished):
    """The pieces of a stage's bar are its jobs' seconds."""
    axes = drawn(finished)["time"].axes[0]
    widths = sorted(piece.get_width() for piece in axes.patches)
    assert sum(widths) == pytest.approx(
        sum(card.run["seconds"] for card in finished.collection().cards)
    )
    assert len(widths) == len(finished.collection().cards)


def test_axes_have_names(finished):
    """Every pair of axes says what it shows, with the unit where there is one."""
    for name, figure in drawn(finished).items():
        for axes in figure.axes:
            assert axes.get_xlabel(), name
            assert axes.get_ylabel() or name in ("generation", "throughput", "time")
    curves = drawn(finished)["training_curves"]
    assert [axes.get_ylabel() for axes in curves.axes] == [
        "loss, all terms (nats)",
        "L1 of pixels in [0, 1]",
        "loss (nats per image)",
        *["loss (nats per token)"] * 2,
    ]


def test_series_differ_in_more_than_colour(finished):
    """Two lines of one panel have another colour and another style."""
    first, second, _ = drawn(finished)["linear_probe"].axes[0].lines
    assert {first.get_color(), second.get_color()} <= set(COLOURS)
    assert first.get_linestyle() != second.get_linestyle()
    assert first.get_marker() != second.get_marker()


def test_protocols_have_panels_of_their_own(fake_run):
    """Distances of two extractors never stand on one axis."""
    fake_run.evaluation("digits", "cond_ar")
    inception = {"name": "inception-v3-compat", "kind": "inception", "digest": "i" * 64}
    fake_run.evaluation("other", "vq", extractor=inception, names={"fid": "FID"})
    panels = drawn(fake_run)["generation"].axes
    assert [len(axes.patches) for axes in panels] == [1, 1]
    assert [axes.get_xlabel().split(",")[0] for axes in panels] == ["FD (cnn)", "FID"]


def test_statistics_have_a_panel_of_their_own(fake_run):
    """One extractor against images and against published statistics: two axes, two names."""
    inception = {"name": "inception-v3-compat", "kind": "inception", "digest": "i" * 64}
    fake_run.evaluation("digits", "cond_ar", extractor=inception, names={})
    statistics = {"kind": "statistics", "digest": "s" * 64}
    fake_run.evaluation("adm", "cond_ar", extractor=inception, names={}, reference=statistics)
    panels = drawn(fake_run)["generation"].axes
    assert [axes.get_xlabel() for axes in panels] == [
        "FID, lower is better; against 1,437 images (train)",
        "FID (ADM statistics), lower is better; against ADM statistics",
    ]


def test_nothing_to_draw_is_said_in_words(fake_run):
    """A figure whose cards hold no number for it says so; one without cards is not made."""
    fake_run.evaluation("digits", "cond_ar", metrics={"precision": 0.5})
    fake_run.training("stage1", "gpt")
    (fake_run.results / "stage1" / "gpt" / "metrics.jsonl").unlink()
    made = drawn(fake_run)
    assert set(made) == {"generation", "bubbles", "training_curves", "throughput", "time"}
    assert "No evaluation" in made["generation"].axes[0].texts[0].get_text()
    assert "no line was logged" in made["training_curves"].axes[0].texts[0].get_text()


def test_the_workflow_knows_the_files_in_advance(figured):
    """What a config promises is what the stages write, from the cards that the rule names."""
    config, paths = figured.config, figured.paths
    assert set(table_names(config)) == set(TABLES)
    assert set(figure_names(config)) == set(FIGURES)
    given = {file.relative_to(figured.folder).as_posix() for file in figured.files}
    # The made-up run has no validation tokens and no parts of sample sets.
    asked = {card for card in first_cards(paths) if "/validation/" not in card}
    asked = {card for card in asked if "samplings" not in card} | set(further_parts(paths))
    results = tuple(
        f"results/{section}"
        for section in (
            *("usage", "evaluations", "reconstructions", "probes", "stabilities"),
            *("projections", "neighbours"),
        )
    )
    assert asked == {card for card in given if not card.startswith(results)} | {
        card for card in asked if "/validation/" in card
    }


@pytest.mark.parametrize("kept", ["stage1", "stage2"])
def test_a_config_without_sections_promises_nothing_else(finished, kept):
    """Empty sections take their tables and figures with them."""
    sections = "encoders codebooks autoencoders tokens stage1 stage2 extractors evaluations probes"
    more = ["neighbours", "reconstructions", "stabilities", "projections"]
    empty = {section: {} for section in [*sections.split(), *more]}
    empty.pop(kept)
    config = finished.config.model_copy(update=empty)
    assert table_names(config) == ["trainings", "results"]
    assert figure_names(config) == ["training_curves", "throughput", "time"]


def test_tables_stage(tmp_path):
    """The stage writes every table in every form, removes old ones and shows labels if told."""
    run = FakeRun(tmp_path, SWEPT).all()
    folder = run.results / "tables"
    folder.mkdir()
    config = run.folder / "config.json"  # JSON is YAML
    config.write_text(json.dumps(run.raw))

    def written(*more: str) -> list[str]:
        assert tables.main(run.command("tables", *more)) == 0
        return sorted(read_card(folder / "card.json", "tables")["outputs"])

    everything = sorted(file for name in TABLES for file in table_files(name))
    assert written("--config", str(config)) == everything
    (folder / "card.json").unlink()
    # The labels, and what was swept, stand in the config alone.
    assert written() == [file for file in everything if not file.startswith("sweeps")]
    assert "100 % A_B" not in (folder / "trainings.md").read_text()

    run.files = [f for f in run.files if "stabilities" not in str(f)]
    assert "stability.csv" not in written("--config", str(config))
    assert "100 % A_B & C" in (folder / "trainings.md").read_text()
    assert not (folder / "stability.csv").exists()

    over = json.dumps({"stage1": {"gpt": {"label": "named on the command line"}}})
    written("--config", str(config), "--overrides", over)
    assert "named on the command line" in (folder / "trainings.md").read_text()
