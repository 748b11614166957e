"""Pictures of patches: which pixels are shown, where the frame is, where the words stand."""

import numpy as np
import pytest

from tessera.report.pictures.patches import GAP, LEAST_SIDE, Cut, cut, frame_width, sheet, tile

VIEW = np.random.default_rng(0).integers(0, 256, (32, 48, 3)).astype(np.uint8)
FRAME_COLOUR = (0xD5, 0x5E, 0x00)


def patch(one: Cut) -> np.ndarray:
    return one.pixels[one.top : one.top + one.height, one.left : one.left + one.width]


@pytest.mark.parametrize("context", [None, 0, 3, 1000])
def test_the_patch_of_a_position(context):
    """Position 7 of a grid of 4 x 6 is its second row's second square, whatever lies around it."""
    one = cut(VIEW, (4, 6), 7, context)
    assert np.array_equal(patch(one), VIEW[8:16, 8:16])


def test_surroundings():
    """As many pixels as asked for on each side, or more on the other where the view ends."""
    inner = cut(VIEW, (4, 6), 8, 3)
    assert np.array_equal(inner.pixels, VIEW[5:19, 13:27])
    assert (inner.top, inner.left) == (3, 3)
    corner = cut(VIEW, (4, 6), 23, 3)
    assert np.array_equal(corner.pixels, VIEW[18:32, 34:48])
    assert (corner.top, corner.left) == (6, 6)
    assert np.array_equal(cut(VIEW, (4, 6), 0, 1000).pixels, VIEW)
    assert np.array_equal(cut(VIEW, (4, 6), 0, None).pixels, VIEW)


def test_a_grid_that_does_not_divide_the_view():
    """Each patch is as large as the others and lies within the view, near its share of it."""
    for position in range(25):
        one = cut(VIEW, (5, 5), position, None)
        assert (one.height, one.width) == (6, 9)
        assert one.top + one.height <= 32
        assert one.left + one.width <= 48
        assert abs(one.top - position // 5 * 32 / 5) <= 0.5
        assert abs(one.left - position % 5 * 48 / 5) <= 0.5


@pytest.mark.parametrize("position", [0, 8, 23])
@pytest.mark.parametrize("factor", [1, 3])
def test_the_frame_lies_around_the_patch(position, factor):
    """No pixel of the patch is covered, and the frame is whole at the edges too."""
    one = cut(VIEW, (4, 6), position, None)
    made = tile(one, factor)
    frame = frame_width(32 * factor, 48 * factor)
    top, left = one.top * factor + frame, one.left * factor + frame
    side = 8 * factor
    shown = made[top : top + side, left : left + side]
    assert np.array_equal(shown[::factor, ::factor], patch(one))
    ring = made[top - frame : top + side + frame, left - frame : left + side + frame].copy()
    outer = frame // 2
    ring[frame:-frame, frame:-frame] = FRAME_COLOUR
    assert (ring[outer:-outer, outer:-outer] == FRAME_COLOUR).all()
    ring[outer:-outer, outer:-outer] = 255
    assert (ring == 255).all()
    beyond = made.copy()
    beyond[top - frame : top + side + frame, left - frame : left + side + frame] = 7
    untouched = np.pad(
        one.pixels.repeat(factor, axis=0).repeat(factor, axis=1),
        ((frame, frame), (frame, frame), (0, 0)),
        constant_values=255,
    )
    untouched[top - frame : top + side + frame, left - frame : left + side + frame] = 7
    assert np.array_equal(beyond, untouched)


def test_rows_of_a_sheet():
    """Tiles stand on the right in order; a row with fewer of them ends in white."""
    first = [cut(VIEW, (4, 6), position, 2) for position in (0, 8, 23)]
    second = [cut(VIEW, (4, 6), 5, 2)]
    made = sheet([(["cluster 1", "2 times"], first), (["cluster 22"], second)], 3)
    factor = LEAST_SIDE // 12
    tiles = [[tile(one, factor) for one in row] for row in (first, second)]
    side = tiles[0][0].shape[0]
    assert made.shape[0] == 2 * side + GAP
    left = made.shape[1] - 3 * side - 2 * GAP
    for i, row in enumerate(tiles):
        for j, one in enumerate(row):
            top, start = i * (side + GAP), left + j * (side + GAP)
            assert np.array_equal(made[top : top + side, start : start + side], one)
    assert (made[side + GAP :, left + side + GAP :] == 255).all()
    words = [made[:side, :left], made[side + GAP :, :left]]
    assert all((part < 128).any() for part in words)
    assert all((part[:, :GAP] == 255).all() for part in words)
    assert (made[side : side + GAP] == 255).all()
