"""Figures are read by people who see fewer colours, on paper, in a column."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from tests.unit.report import legibility as seen

from tessera.report.figures.draw import DRAW
from tessera.report.outputs import FIGURES
from tessera.report.style import COLOURS, COLUMN, PAGE, house_style, look, new_figure


@pytest.fixture(scope="module")
def drawn(figured) -> dict[str, Figure]:
    """Name → figure, drawn."""
    found = {}
    for name in FIGURES:
        with house_style():
            figure = DRAW[name](figured.collection())
            assert figure is not None, name
            figure.canvas.draw()
            found[name] = figure
    return found


@pytest.fixture(params=FIGURES)
def figure(request, drawn) -> Figure:
    return drawn[request.param]


def test_colours_are_told_apart_without_colour_vision(figure):
    """Whatever is drawn in one panel, as people with any of three deficiencies see it."""
    for axes in figure.axes:
        assert not seen.alike(colour for colour, _ in seen.series(axes))


def test_nothing_is_told_by_hue_alone(figure):
    """Series differ in marker, line or hatch, or in lightness."""
    for axes in figure.axes:
        assert not seen.told_by_colour_alone(axes)


def test_letters_are_large_enough_on_paper(figure):
    """At the width of a page at most."""
    assert figure.get_figwidth() <= PAGE
    assert not seen.too_small(figure, PAGE)


def test_axes_say_what_they_count(figure):
    """With a unit, or as a share or a count."""
    assert not seen.without_unit(figure)


def test_texts_are_whole_and_apart(figure):
    """None leaves the canvas, none lies on another."""
    assert not seen.clipped(figure)
    assert not seen.overlapping(figure)


def test_the_palette():
    """All colours of the house, under each vision, and on white."""
    assert not seen.alike([*COLOURS, "white"])


def test_looks_differ_in_more_than_colour():
    """Any two of the first 49 series differ in marker and colour or line; seven in each of all."""
    first = [look(index) for index in range(7)]
    for part in ("colour", "marker", "line", "hatch"):
        assert len({getattr(one, part) for one in first}) == 7
    many = [look(index) for index in range(49)]
    assert len({(one.colour, one.marker) for one in many}) == 49
    assert len({(one.marker, one.line) for one in many}) == 49
    assert len({(one.colour, one.line) for one in many}) == 49


def test_the_simulation():
    """White and greys stay; red and green of one lightness meet for a deuteranope; L* of grey."""
    for matrix in seen.VISION.values():
        np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-5)
    assert seen.lab("white") == pytest.approx([100, 0, 0], abs=0.02)
    assert seen.lab("#777777")[0] == pytest.approx(50, abs=0.2)
    assert seen.difference("#b00000", "#5a6a00") > 60
    assert seen.difference("#b00000", "#5a6a00", "deuteranopia") < 25


BLIND = {
    "alike": lambda axes: (axes.plot([0, 1], color="#b00000"), axes.plot([1, 0], color="#5a5c00")),
    "told_by_colour_alone": lambda axes: (
        axes.plot([0, 1], color=COLOURS[0]), axes.plot([1, 0], color=COLOURS[1]),
    ),
    "too_small": lambda axes: axes.text(0.5, 0.5, "small", fontsize=5),
    "without_unit": lambda axes: axes.set_xlabel("value"),
    "clipped": lambda axes: axes.figure.text(0.9, 0.5, "a text that leaves the canvas"),
    "overlapping": lambda axes: (axes.text(0.5, 0.5, "one"), axes.text(0.5, 0.51, "other")),
}  # fmt: skip


@pytest.mark.parametrize("fault", BLIND)
def test_each_fault_is_found(fault):
    """A figure with one fault has that one and no other."""
    with house_style():
        figure = new_figure(COLUMN, 2)
        axes = figure.subplots()
        axes.set_xlabel("time (s)")
        axes.set_ylabel("share of tokens")
        BLIND[fault](axes)
        figure.canvas.draw()
        found = {
            "alike": seen.alike(colour for colour, _ in seen.series(axes)),
            "told_by_colour_alone": seen.told_by_colour_alone(axes),
            "too_small": seen.too_small(figure, PAGE),
            "without_unit": seen.without_unit(figure),
            "clipped": seen.clipped(figure),
            "overlapping": seen.overlapping(figure),
        }
    assert [name for name, what in found.items() if what and (name, fault) != (
        "told_by_colour_alone", "alike"
    )] == [fault]  # fmt: skip
