"""The table and the figure of PCA against LDA."""

import csv
import io

import numpy as np
import pytest

from tessera.report.figures.draw import draw_figures
from tessera.report.render import RENDER
from tessera.report.tables.projections import projections


def figure(run):
    return dict(draw_figures(run.collection()))["projections"]


def test_the_table(fake_run):
    """A row a level: both projections, mean with spread, beside what is expected."""
    fake_run.toy()
    table = projections(fake_run.collection())
    rows = list(csv.DictReader(io.StringIO(RENDER["csv"](table))))
    assert [row["noise_std"] for row in rows] == ["0.0", "1.0", "2.0"]
    assert [float(row["pca accuracy_mean"]) for row in rows] == [0.625, 0.5625, 0.5]
    assert [float(row["lda accuracy_mean"]) for row in rows] == [0.96875, 0.90625, 0.84375]
    assert float(rows[1]["lda expected_accuracy"]) == 0.9140625
    assert rows[0]["seeds"] == "projections=0,7,8"
    text = RENDER["md"](table)
    assert "90.6 ± 3.1" in text
    assert "Classes" not in text


def test_two_variants_are_told_apart(fake_run):
    """In the table by a column, in the figure by a title each."""
    fake_run.toy()
    fake_run.toy("other")
    assert "Classes" in RENDER["md"](projections(fake_run.collection()))
    titles = {axes.get_title(loc="left") for axes in figure(fake_run).axes} - {""}
    assert titles == {"toy", "other"}


def test_lines_are_the_cards_numbers(fake_run):
    """Directions, measured marks, the thin lines of what is expected, thresholds."""
    fake_run.toy()
    plane, *lines, accuracies = figure(fake_run).axes
    classes, directions = plane.lines[:2], plane.lines[2:]
    assert [list(line.get_ydata()) for line in classes] == [[-1] * 4, [1] * 4]
    for line, slope in zip(directions, ([1, 0], [0, 1]), strict=True):
        end = np.array([line.get_xdata()[1], line.get_ydata()[1]])
        assert end / np.linalg.norm(end) == pytest.approx(slope)
    assert [axes.get_title() for axes in lines] == ["PCA", "PCA, noise 2", "LDA", "LDA, noise 2"]
    assert [axes.lines[0].get_xdata()[0] for axes in lines] == [0.25, 0.25, -0.125, -0.125]
    drawn = {line.get_label(): list(line.get_ydata()) for line in accuracies.lines}
    assert drawn["PCA"] == [62.5, 56.25, 50]
    assert drawn["LDA"] == [96.875, 90.625, 84.375]
    thin = [list(line.get_ydata()) for line in accuracies.lines if line.get_marker() == "None"]
    assert [97.65625, 91.40625, 85.15625] in thin


def test_histograms_are_of_the_points_on_the_line(fake_run):
    """LDA's line is the second axis: four points of each class in one place, then 1 lower."""
    fake_run.toy()
    *_, clean, noisy, _ = figure(fake_run).axes
    for axes, places in ((clean, (-1, 1)), (noisy, (-2, 0))):
        for polygon, place in zip(axes.patches, places, strict=True):
            corners = polygon.get_xy()
            assert corners[:, 1].max() == 4
            filled = corners[corners[:, 1] == 4][:, 0]
            assert filled.min() - 1e-9 <= place <= filled.max() + 1e-9
