"""Pictures of sample sets."""

import numpy as np
import pytest

from tessera.report.pictures.grids import GAP, class_rows, grid, name_rows


def flat(count: int, side: int) -> np.ndarray:
    """Images of one value each: 0, 1, 2 and so on."""
    images = np.zeros((count, side, side, 3), dtype=np.uint8)
    images += np.arange(count, dtype=np.uint8)[:, None, None, None]
    return images


def test_places_and_gaps():
    """Image i stands in row i // columns; white lies between and in the empty place."""
    made = grid(flat(5, 64), 3)
    assert made.shape == (2 * 64 + GAP, 3 * 64 + 2 * GAP, 3)
    step = 64 + GAP
    for i in range(5):
        top, left = i // 3 * step, i % 3 * step
        assert (made[top : top + 64, left : left + 64] == i).all()
    assert (made[64 : 64 + GAP] == 255).all()
    assert (made[:, 64 : 64 + GAP] == 255).all()
    assert (made[step:, 2 * step :] == 255).all()


def test_small_images_are_enlarged_by_a_whole_factor():
    """Every pixel of a tiny image becomes a square; no value is mixed."""
    image = np.random.default_rng(0).integers(0, 256, (1, 24, 24, 3), dtype=np.uint8)
    made = grid(image, 1)
    assert made.shape == (72, 72, 3)
    assert np.array_equal(made[::3, ::3], image[0])
    assert np.array_equal(made, np.kron(image[0], np.ones((3, 3, 1), dtype=np.uint8)))


def test_large_images_stay():
    """From 64 pixels on nothing is enlarged."""
    assert grid(flat(1, 100), 4).shape == (100, 100, 3)


def test_a_row_a_class():
    """Each row holds the first images of its class, in their order; missing ones are white."""
    labels = np.array([1, 0, 1, 1, 2])
    made = class_rows(flat(5, 64), labels, 3, 2)
    step = 64 + GAP
    places = [[1, 255], [0, 2], [4, 255]]
    for row, values in enumerate(places):
        for column, value in enumerate(values):
            top, left = row * step, column * step
            assert (made[top : top + 64, left : left + 64] == value).all()


def test_chosen_classes_in_their_order():
    """A list of classes gives the rows."""
    made = class_rows(flat(3, 64), np.array([5, 7, 9]), [9, 5], 1)
    assert made[0, 0, 0] == 2
    assert made[64 + GAP, 0, 0] == 0


def test_names_stand_left_of_their_rows():
    """Dark letters in each row's middle, none where a name is empty; the images stay."""
    labels = np.array([0, 1, 2])
    bare = class_rows(flat(3, 64), labels, 3, 2)
    named = class_rows(flat(3, 64), labels, 3, 2, ["7", "", "a dog"])
    margin = named.shape[1] - bare.shape[1]
    assert np.array_equal(named[:, margin:], bare)
    for row, empty in enumerate([False, True, False]):
        top = row * (64 + GAP)
        written = (named[top : top + 64, :margin] < 128).any(axis=(1, 2))
        assert written.any() != empty
        assert not written[:16].any()
        assert not written[48:].any()
    gaps = [*range(64, 66), *range(130, 132)]
    assert (named[gaps][:, :margin] == 255).all()


def test_a_longer_name_makes_a_wider_margin_until_it_is_cut():
    """Short names stand at the images, not at the picture's edge."""
    widths = [name_rows(flat(1, 64)[0], [name]).shape[1] for name in ("a", "abc", "m" * 24)]
    assert widths == sorted(set(widths))
    longer = name_rows(flat(1, 64)[0], ["m" * 99])
    assert longer.shape[1] < 1.05 * widths[2]
    short = name_rows(np.zeros((130, 64, 3), np.uint8), ["mmmmmmmm", "m"])
    margin = short.shape[1] - 64
    columns = np.flatnonzero((short[66:, :margin] < 128).any(axis=(0, 2)))
    assert columns.min() > margin / 2


@pytest.mark.parametrize(
    "call",
    [
        lambda: grid(flat(0, 8), 2),
        lambda: grid(flat(2, 8), 0),
        lambda: grid(flat(2, 8).astype(float), 2),
        lambda: grid(flat(2, 8)[..., :1], 2),
        lambda: class_rows(flat(2, 8), np.array([1]), 2, 1),
        lambda: class_rows(flat(2, 8), np.array([0, 1]), 0, 1),
        lambda: class_rows(flat(2, 8), np.array([0, 1]), 2, 1, ["one name for two images"]),
    ],
)
def test_what_cannot_be_drawn(call):
    """Nothing to show, or not images."""
    with pytest.raises(ValueError, match=r"images|class|names"):
        call()
