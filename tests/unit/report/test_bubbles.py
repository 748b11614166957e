"""The bubble chart shows each model where it belongs, and no name covers another."""

import math
from dataclasses import replace
from itertools import combinations

import pytest
from tests.unit.report.test_literature import evaluate, imagenet

from tessera.report.figures.bubble_rows import rows, sizes
from tessera.report.figures.draw import DRAW
from tessera.report.figures.placing import Box, Disc, place
from tessera.report.style import house_style


def draw(run):
    """The figure."""
    with house_style():
        return DRAW["bubbles"](run.collection())


def test_published_models_are_those_with_both_numbers(finished):
    """DiGIT alone has FID and a probe of one model; VAR without guidance has no IS."""
    published = rows(finished.collection())[0]
    assert [(it.name, it.x, it.y, it.parameters) for it in published.unconditional] == [
        ("DiGIT (+MaskGIT)", 9.04, 71.7, 219_000_000),
        ("DiGIT (+VQGAN) 219M", 9.13, 71.7, 219_000_000),
        ("DiGIT (+VQGAN) 732M", 4.59, 80.3, 732_000_000),
    ]
    found = {it.name: (it.x, it.y, it.group) for it in published.conditional}
    assert found["MAR-H cfg"] == (1.55, 303.7, "FID (ADM statistics)")
    assert found["DiGIT (+VQGAN) 732M"] == (3.39, 205.96, "FID (validation)")
    assert found["VQVAE-2"] == (31.11, 45, "FID (as reported)")
    assert {name for name in found if name.startswith("VAR")} == {"VAR 310M cfg", "VAR 600M cfg"}
    assert len(found) == 22  # of 24 rows, two have no IS


def test_ours_of_another_extractor_have_panels_of_their_own(finished):
    """The probed model that draws unconditionally on the left, the others on the right."""
    _, own = rows(finished.collection())
    assert (own.distance, own.score, own.published) == ("FD (cnn)", "classifier score (cnn)", False)
    (vq,) = own.unconditional
    assert (vq.x, vq.y, vq.parameters, vq.ours) == (9.123456789012345, 75.0, 12_345, True)
    assert [(it.x, it.y) for it in own.conditional] == [(3.0625, 8.5), (2.03125, 8.0)]


def test_comparable_ones_stand_among_the_published(tmp_path):
    """And have no panel of their own."""
    run = imagenet(tmp_path)
    run.training("stage1", "gpt")
    evaluate(run)
    (row,) = rows(run.collection())
    (ours,) = [it for it in row.conditional if it.ours]
    assert (ours.x, ours.y, ours.group) == (2.5, 250.0, "FID (validation)")
    left, right = draw(run).axes
    assert left.get_title(loc="left") == "unconditional, published"
    assert right.get_title(loc="left") == "class-conditional, published and ours"


def test_the_areas_are_in_proportion_to_the_parameters(finished):
    """Whatever the shape; of a marker of size 1, a disc fills pi / 4, a triangle a half."""
    spots = draw(finished).axes[1].collections
    sizes = {tuple(spot.get_offsets()[0]): spot.get_sizes()[0] for spot in spots}
    disc, other = sizes[31.11, 45.0], sizes[6.09, 153.32]  # VQVAE-2, L-DiT-7B
    square, triangle = sizes[3.39, 205.96], sizes[1.55, 303.7]  # DiGIT, MAR-H
    assert disc / other == pytest.approx(13.5 / 7)
    assert disc * math.pi / 4 / square == pytest.approx(13_500 / 732)
    assert disc * math.pi / 4 / (triangle / 2) == pytest.approx(13_500 / 943)


def test_names_cover_neither_each_other_nor_the_border(finished):
    """In pixels of the drawn figure, panel by panel."""
    figure = draw(finished)
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    assert [len(axes.texts) for axes in figure.axes] == [3, 22, 1, 2]
    for axes in figure.axes:
        boxes = [text.get_window_extent(renderer) for text in axes.texts]
        assert not [1 for one, other in combinations(boxes, 2) if one.overlaps(other)]
        frame = axes.get_window_extent(renderer)
        for box in boxes:
            assert frame.x0 - 1 <= box.x0
            assert box.x1 <= frame.x1 + 1


def test_an_empty_panel_says_so(fake_run):
    """Without a probe there is nothing to the left."""
    fake_run.training("stage1", "gpt")
    fake_run.evaluation("digits", "cond_ar")
    texts = [text.get_text() for text in draw(fake_run).axes[2].texts]
    assert texts == ["No unconditional model here has\nboth a distance and a linear probe."]


def test_no_evaluation_no_figure(fake_run):
    """Published models alone are no result."""
    fake_run.training("stage1", "gpt")
    assert draw(fake_run) is None


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ([160e6, 13.5e9], [300_000_000, 3_000_000_000, 10_000_000_000]),
        ([350_784, 363_840], [363_840]),
        ([90, 20_000], [1000, 3000, 10_000]),
    ],
)
def test_sizes_of_the_legend(finished, parameters, expected):
    """Round ones within what is drawn, or the only one there is."""
    bubble = rows(finished.collection())[0].conditional[0]
    assert sizes([replace(bubble, parameters=int(count)) for count in parameters]) == expected


def test_crowded_names_are_placed_apart():
    """Nine points on one spot of a large area: no two names share a pixel, none covers a point."""
    discs = [Disc(100 + i, 100, 3) for i in range(9)]
    area = Box(0, 0, 300, 200)
    boxes = place(discs, [(60, 10)] * 9, area, 3)
    assert not [1 for one, other in combinations(boxes, 2) if one.overlap(other)]
    assert not [1 for box in boxes for disc in discs if box.overlap(disc.box)]
    assert not any(box.outside(area) for box in boxes)


def test_a_lone_name_stands_to_the_right():
    """With its left side a gap away from the rim; by hand."""
    (box,) = place([Disc(10, 20, 5)], [(30, 8)], Box(0, 0, 100, 100), 2)
    assert box == Box(17, 16, 47, 24)


def test_a_name_at_the_border_turns_inwards():
    """There is room to the left alone."""
    (box,) = place([Disc(95, 50, 2)], [(30, 8)], Box(0, 0, 100, 100), 2)
    assert box.right <= 100
    assert box.outside(Box(0, 0, 100, 100)) == 0
