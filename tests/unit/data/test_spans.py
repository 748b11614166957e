"""Pieces of parts."""

from pathlib import Path

import numpy as np
import pytest

from tessera.data.spans import Span, spans
from tessera.errors import UserError
from tessera.io.parts import write_part


@pytest.fixture
def part(tmp_path, monkeypatch) -> Path:
    """A part of 23 rows, 8 bytes each, in chunks of 5 rows; the numbers are in one chunk."""
    monkeypatch.setattr("tessera.io.parts.CHUNK_BYTES", 40)
    rows = np.arange(23 * 4, dtype=np.uint16).reshape(23, 4)
    write_part(tmp_path / "part.zarr.zip", {"rows": rows, "number": np.arange(23)}, {})
    return tmp_path / "part.zarr.zip"


def test_spans_are_whole_chunks(part):
    """As many as fit into the size, at least one."""
    ends = {40: [5, 10, 15, 20, 23], 99: [10, 20, 23], 1: [5, 10, 15, 20, 23], 1000: [23]}
    for size, stops in ends.items():
        found = spans([part], "rows", size)
        assert [span.stop for span in found] == stops
        assert [span.start for span in found] == [0, *stops[:-1]]


def test_blocks_are_chunks_with_the_rows_beside_them(part):
    """Each row once, at its own number."""
    (span,) = spans([part, part], "rows", 1000)[1:]
    blocks = list(span.blocks("rows", "number"))
    assert [len(rows) for rows, _ in blocks] == [5, 5, 5, 5, 3]
    for rows, numbers in blocks:
        assert rows[:, 0].tolist() == (4 * numbers).tolist()
    middle = Span(span.path, 5, 15, 5)
    assert [numbers.tolist() for _, numbers in middle.blocks("rows", "number")] == [
        [5, 6, 7, 8, 9],
        [10, 11, 12, 13, 14],
    ]


def test_an_empty_part_has_no_span(tmp_path):
    """A part without a shard is empty and no error."""
    write_part(tmp_path / "part.zarr.zip", {"rows": np.zeros((0, 3), np.uint16)}, {})
    assert spans([tmp_path / "part.zarr.zip"], "rows") == []


def test_a_part_of_another_kind(part):
    """Features in place of tokens, say."""
    with pytest.raises(UserError, match=r"part\.zarr\.zip holds no array 'codes'"):
        spans([part], "codes")


def test_a_path_of_another_working_folder(part, monkeypatch, tmp_path_factory):
    """A worker runs elsewhere than the stage."""
    monkeypatch.chdir(part.parent)
    (span,) = spans([Path(part.name)], "rows", 1000)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert sum(len(rows) for (rows,) in span.blocks("rows")) == 23
