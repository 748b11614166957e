"""Where codes come: some images of a split, which codes are shown, and which places."""

import numpy as np
import pytest

from tessera.data.occurrences import SomeTokens, draw_places, read_some, spread_codes
from tessera.errors import UserError
from tessera.io.parts import write_part

CODES = np.random.default_rng(0).integers(0, 9, (20, 2, 5)).astype(np.uint16)
TOKENS = SomeTokens(CODES, np.arange(20) // 10, 3 * np.arange(20))
"""Of every third image."""
CUTS = (
    [range(20)],
    [range(1, 20, 2), range(0, 20, 2)],
    [range(10, 20), range(0), range(9, -1, -1)],
)
"""Numbers of the images of each part."""


def parts(folder, *numbers) -> list:
    """A part for each list of image numbers; the label is a tenth of the number."""
    files = []
    for index, own in enumerate(np.array([*each], np.int64) for each in numbers):
        files.append(folder / f"part-{index}.zarr.zip")
        arrays = {"codes": CODES[own], "label": own // 10, "number": own}
        write_part(files[-1], arrays, {"vocabulary": 9})
    return files


@pytest.mark.parametrize("wanted", [[0], [3, 4, 13], [19], [*range(20)]])
@pytest.mark.parametrize("cut", CUTS)
def test_some_images_however_they_were_cut(tmp_path, cut, wanted):
    """In the order of their numbers."""
    found = read_some(parts(tmp_path, *cut), np.array(wanted))
    assert np.array_equal(found.codes, CODES[wanted])
    assert found.labels.tolist() == [number // 10 for number in wanted]
    assert found.numbers.tolist() == wanted


@pytest.mark.parametrize("numbers", [[0, 1, 3], [0, 1, 1, 2], []])
def test_parts_that_are_no_whole_split(tmp_path, numbers):
    """An image is missing, there twice, or there is none."""
    with pytest.raises(UserError, match="do not hold each of 3 images once"):
        read_some(parts(tmp_path, numbers), np.arange(3))


def test_a_part_of_something_else(tmp_path):
    """One sentence."""
    file = tmp_path / "part.zarr.zip"
    write_part(file, {"features": np.zeros((2, 3)), "number": np.arange(2)}, {})
    with pytest.raises(UserError, match=r"part\.zarr\.zip holds no array 'codes'"):
        read_some([file], np.arange(2))


def test_codes_are_spread_over_their_ranks():
    """By hand: counts 50, 40, 40, 30, 20, 10, 3, 0."""
    counts = np.array([3, 40, 10, 0, 50, 40, 20, 30])
    assert spread_codes(counts, 100, 1) == [4, 1, 5, 7, 6, 2, 0]
    assert spread_codes(counts, 100, 10) == [4, 1, 5, 7, 6, 2]
    assert spread_codes(counts, 3, 1) == [4, 7, 0]  # the first, the middle, the last
    assert spread_codes(counts, 2, 10) == [4, 2]
    assert spread_codes(counts, 1, 10) == [4]
    assert spread_codes(counts, 2, 99) == [4, 0]  # none comes as often


@pytest.mark.parametrize("code", [0, 4])
def test_places_are_where_the_code_is(code):
    """As many as asked for, each in another image."""
    places = draw_places(TOKENS, code, 6, seed=1)
    assert len({place.image for place in places}) == len(places) == 6
    for place in places:
        row, odd = divmod(place.image, 3)
        assert not odd
        assert CODES[row, place.view, place.position] == code
    assert draw_places(TOKENS, code, 6, seed=1) == places
    assert draw_places(TOKENS, code, 6, seed=2) != places


def test_all_images_of_a_code():
    """It comes in fewer than are asked for; nowhere, there is no place."""
    images = {3 * int(row) for row, _, _ in np.argwhere(CODES == 3)}
    assert {place.image for place in draw_places(TOKENS, 3, 50, 0)} == images
    assert draw_places(TOKENS, 77, 5, 0) == []


def test_every_place_is_drawn_sometimes():
    """All views and positions, over many seeds."""
    found = {draw_places(TOKENS, 3, 1, seed)[0] for seed in range(2000)}
    assert len(found) == int((CODES == 3).sum())
