"""Words in pictures."""

import numpy as np

from tessera.report.pictures.lettering import LONGEST, line_height, shortened, words


def test_black_on_white():
    """Letters on a line that is as high for every text, wider for a longer one."""
    one, more = words("l", 20), words("lmlm gj", 20)
    assert one.dtype == np.uint8
    assert one.shape[0] == more.shape[0] == line_height(20) > 20
    assert one.shape[1] < more.shape[1]
    assert (one.min(), one.max()) == (0, 255)
    # Nothing is cut off above or below.
    assert (more[[0, -1]] == 255).all()


def test_larger_type():
    """In proportion, but for the rounding of outlines."""
    small, large = words("tessera", 10), words("tessera", 40)
    assert 3.6 < large.shape[1] / small.shape[1] < 4.4


def test_letters_of_other_languages():
    """Names of classes may have any; the typeface's box for what is unknown is the same for all."""
    assert not np.array_equal(words("ä", 20), words("ж", 20))


def test_nothing_to_write():
    """White."""
    assert (words("", 20) == 255).all()


def test_long_names_are_cut():
    """And say so."""
    assert shortened("m" * LONGEST) == "m" * LONGEST
    assert shortened("m" * LONGEST + "n") == "m" * (LONGEST - 1) + "…"
