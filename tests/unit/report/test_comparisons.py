"""Images beside others."""

import numpy as np
import pytest

from tessera.report.pictures.comparisons import Row, neighbour_rows, original_rows, short
from tessera.report.pictures.grids import GAP


def plain(value: int, side: int = 96) -> np.ndarray:
    """An image of one value."""
    return np.full((side, side, 3), value, np.uint8)


def places(picture: np.ndarray, value: int) -> list[tuple[int, int]]:
    """Upper left corners of the squares of one value, 96 pixels wide."""
    equal = (picture == value).all(-1)
    corners = np.argwhere(equal & ~np.roll(equal, 1, 0) & ~np.roll(equal, 1, 1))
    return [(int(y), int(x)) for y, x in corners if equal[y : y + 96, x : x + 96].sum() == 96**2]


def test_reconstructions_stand_below_their_originals():
    """Two columns, three images: a white place beside the last pair."""
    originals = np.stack([plain(value, 64) for value in (10, 20, 30)])
    made = originals + 100
    picture = original_rows(originals, made, 2)
    margin = picture.shape[1] - (2 * 64 + GAP)
    images = picture[:, margin:]
    step, pair = 64 + GAP, 2 * 64 + 6 * GAP
    for number in range(3):
        top, left = number // 2 * pair, number % 2 * step
        for shown, line in ((originals, 0), (made, step)):
            place = images[top + line : top + line + 64, left : left + 64]
            assert (place == shown[number]).all()
    assert (images[pair:, step:] == 255).all()
    for top in (0, step, pair, pair + step):
        assert (picture[top : top + 64, :margin] < 128).any()


@pytest.mark.parametrize("count", [1, 3])
def test_other_reconstructions_than_originals(count):
    """One for each."""
    with pytest.raises(ValueError, match="cannot be reconstructed"):
        original_rows(np.stack([plain(0)] * 2), np.stack([plain(0)] * count), 2)


def test_neighbours_stand_right_of_their_sample():
    """In their order, below the row before; the second block is to the right of the first."""
    blocks = {
        "first": [
            Row(plain(1), "no. 0", [plain(2), plain(3)], [0.5, 1.25]),
            Row(plain(4), "no. 1", [plain(5), plain(6)], [0, 100]),
        ],
        "nearest": [Row(plain(7), "no. 9", [plain(8), plain(9)], [1, 2])],
    }
    picture = neighbour_rows(blocks)
    found = {value: places(picture, value)[0] for value in range(1, 10)}
    for row in ((1, 2, 3), (4, 5, 6), (7, 8, 9)):
        tops, lefts = zip(*(found[value] for value in row), strict=True)
        assert len(set(tops)) == 1
        assert lefts[1] - lefts[0] > lefts[2] - lefts[1] == 96 + GAP
        under = picture[tops[0] + 96 + GAP : tops[0] + 96 + 16]
        assert all((under[:, left : left + 96] < 128).any() for left in lefts)
    assert found[4][0] > found[1][0] + 96
    assert found[7][0] == found[1][0]
    assert found[7][1] > found[3][1] + 96


def test_lines_stand_below():
    """And change nothing above."""
    blocks = {"first": [Row(plain(1), "no. 0", [plain(2)], [0.5])]}
    bare, told = neighbour_rows(blocks), neighbour_rows(blocks, ["a line", "m" * 100])
    assert np.array_equal(told[: len(bare), : bare.shape[1]], bare)
    below = told[len(bare) :]
    assert (below < 128).any()
    assert told.shape[1] > bare.shape[1]  # wide enough for the whole line
    assert (told[: len(bare), bare.shape[1] :] == 255).all()


def test_the_same_arguments_give_the_same_picture():
    """Bytes that a card vouches for."""
    blocks = {"first": [Row(plain(1), "no. 0", [plain(2)], [0.5])]}
    assert np.array_equal(neighbour_rows(blocks, ["a"]), neighbour_rows(blocks, ["a"]))


@pytest.mark.parametrize(
    ("distance", "text"),
    [(0.51, "0.510"), (1, "1.00"), (12.345, "12.3"), (123.4, "123"), (2e-6, "0")],
)
def test_distances_as_they_are_written(distance, text):
    """Three digits, whatever the size."""
    assert short(distance) == text
