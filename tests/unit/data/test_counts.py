"""Counts of codes."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tessera.data.counts import count_codes
from tessera.data.spans import spans
from tessera.errors import UserError
from tessera.io.parts import write_part

CLASSES, VOCABULARY = 7, 50
RNG = np.random.default_rng(0)
CODES = RNG.integers(0, VOCABULARY - 3, (83, 2, 6)).astype(np.uint16)
LABELS = np.sort(RNG.integers(0, CLASSES, 83))


def write(folder: Path, *rows: slice) -> list[Path]:
    """A part for each slice of the images."""
    files = []
    for i, some in enumerate(rows):
        files.append(folder / f"part-{i}.zarr.zip")
        write_part(files[-1], {"codes": CODES[some], "label": LABELS[some]}, {})
    return files


def counted() -> np.ndarray:
    """One code after the other."""
    table = np.zeros((CLASSES, VOCABULARY), np.int64)
    for codes, label in zip(CODES, LABELS, strict=True):
        for code in codes.ravel():
            table[label, code] += 1
    return table


@pytest.mark.parametrize(("chunk", "size"), [(1, 1), (10, 1), (10, 30), (1000, 1000)])
def test_each_code_of_each_image_is_counted(tmp_path, monkeypatch, chunk, size):
    """However parts, chunks and spans cut the set, an empty part among them."""
    row = 2 * 6 * 2
    monkeypatch.setattr("tessera.io.parts.CHUNK_BYTES", chunk * row)
    monkeypatch.setattr("tessera.data.counts.spans", partial(spans, size=size * row))
    parts = write(tmp_path, slice(0, 30), slice(30, 30), slice(30, 83))
    table = count_codes(parts, CLASSES, VOCABULARY)
    assert table.dtype == np.int64
    assert np.array_equal(table, counted())


def test_classes_in_any_order(tmp_path):
    """A folder's images come class by class, those of tars need not."""
    order = RNG.permutation(len(CODES))
    write_part(tmp_path / "p.zarr.zip", {"codes": CODES[order], "label": LABELS[order]}, {})
    table = count_codes([tmp_path / "p.zarr.zip"], CLASSES, VOCABULARY)
    assert np.array_equal(table, counted())


@pytest.mark.parametrize(
    ("classes", "vocabulary", "said"),
    [
        (CLASSES, 20, r"codes up to 46 of 20"),
        (3, VOCABULARY, r"classes from \d to 6 of 3"),
    ],
)
def test_what_is_beyond_its_range(tmp_path, classes, vocabulary, said):
    """A count in the wrong cell would be a silent wrong result."""
    with pytest.raises(UserError, match=said):
        count_codes(write(tmp_path, slice(0, 83)), classes, vocabulary)


def test_no_image(tmp_path):
    """No shares can be made of nothing."""
    with pytest.raises(UserError, match="are of no image"):
        count_codes(write(tmp_path, slice(0, 0)), CLASSES, VOCABULARY)
