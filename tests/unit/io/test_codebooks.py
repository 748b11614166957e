"""Codebooks in the form in which DiGIT publishes them."""

import io

import numpy as np
import pytest

from tessera.errors import UserError
from tessera.io.codebooks import read_codebook, write_codebook

TABLE = np.arange(24, dtype=np.float64).reshape(6, 4) / 8  # exact in float16


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_numpy_files_are_read(tmp_path, dtype, order):
    """Whoever wrote the array, its values come as contiguous float32."""
    np.save(tmp_path / "km_8k.npy", np.asarray(TABLE, dtype=dtype, order=order))
    found = read_codebook(tmp_path / "km_8k.npy")
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    assert np.array_equal(found, TABLE)


def test_what_is_written_is_what_numpy_saves(tmp_path):
    """The file has the bytes of `np.save`, so the original's code reads it as its own."""
    write_codebook(tmp_path / "made" / "centroids.npy", TABLE)
    expected = io.BytesIO()
    np.save(expected, TABLE.astype(np.float32))
    assert (tmp_path / "made" / "centroids.npy").read_bytes() == expected.getvalue()
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["centroids.npy"]


def test_writing_something_else(tmp_path):
    """A program's mistake."""
    with pytest.raises(ValueError, match="K, d"):
        write_codebook(tmp_path / "centroids.npy", TABLE[0])


def test_reading_one_that_is_not_there(tmp_path):
    """A path that was mistyped."""
    with pytest.raises(UserError, match=r"km\.npy does not exist: run the stage"):
        read_codebook(tmp_path / "km.npy")


class Bomb:
    """Something that would run when it is unpickled."""

    def __reduce__(self):
        return exec, ("raise SystemExit('executed')",)


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.array([Bomb()], dtype=object), "damaged or no array of numbers"),
        (TABLE[0], r"holds float64 of the shape \[4\]"),
        (TABLE[:0], r"of the shape \[0, 4\]"),
        (TABLE.astype(np.int64), "holds int64 of the shape"),
        (TABLE.astype(complex), "holds complex128 of the shape"),
        (np.where(TABLE == 1, np.nan, TABLE), "NaN or infinity in 1 of 6 centroids, .* centroid 2"),
        (np.where(TABLE > 1.9, 1e300, TABLE), "in 2 of 6 centroids, first in centroid 4"),
    ],
    ids=["pickle", "a row", "empty", "integers", "complex", "nan", "beyond float32"],
)
def test_what_is_no_codebook(tmp_path, array, sentence):
    """Refused in one sentence, and nothing in the file is executed."""
    np.save(tmp_path / "km.npy", array, allow_pickle=True)
    with pytest.raises(UserError, match=sentence) as caught:
        read_codebook(tmp_path / "km.npy")
    assert str(tmp_path / "km.npy") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_damaged_files(tmp_path):
    """Cut off, empty, text, or an archive of arrays."""
    file = tmp_path / "km.npy"
    np.save(file, TABLE)
    whole = file.read_bytes()
    archive = io.BytesIO()
    np.savez(archive, TABLE)
    for content in (whole[:-1], whole[:20], b"", b"1 2 3\n4 5 6\n", archive.getvalue()):
        file.write_bytes(content)
        with pytest.raises(UserError, match="is damaged or no array"):
            read_codebook(file)


def test_the_reference_codebook(golden):
    """The codebook beside the reference vectors, as numpy itself reads it."""
    file = golden / "km_tiny.npy"
    found = read_codebook(file)
    assert np.array_equal(found, np.load(file))
    assert found.shape[0] == 32
