"""Arrays on disk, one file a job."""

import os
import time

import numpy as np
import pytest
import zarr
from zarr.storage import ZipStore

from tessera.config.paths import part_name
from tessera.errors import UserError
from tessera.io import parts
from tessera.io.parts import open_parts, read_part, write_part


@pytest.fixture
def arrays():
    """Features, tokens and numbers of ten images."""
    generator = np.random.default_rng(0)
    return {
        "features": generator.normal(size=(10, 4, 3)).astype(np.float16),
        "codes": generator.integers(0, 2**16, size=(10, 1, 4), dtype=np.uint16),
        "number": np.arange(10),
    }


def equal(a, b) -> bool:
    return set(a) == set(b) and all(
        a[name].dtype == b[name].dtype and np.array_equal(a[name], b[name]) for name in a
    )


def test_a_part_comes_back_as_written(tmp_path, arrays):
    """Types, shapes, values and attributes."""
    path = tmp_path / f"{part_name(3, 8)}.zarr.zip"
    write_part(path, arrays, {"vocabulary": 8, "grid": [2, 2]})
    read, attributes = read_part(path)
    assert equal(read, arrays)
    assert attributes == {"vocabulary": 8, "grid": [2, 2]}
    assert os.listdir(tmp_path) == ["part-0003-of-0008.zarr.zip"]


def test_several_chunks_come_back_as_written(tmp_path, monkeypatch):
    """The last chunk may be shorter."""
    monkeypatch.setattr(parts, "CHUNK_BYTES", 64)
    array = np.arange(7 * 5, dtype=np.uint32).reshape(7, 5)  # 3 rows a chunk
    write_part(tmp_path / "a.zarr.zip", {"x": array}, {})
    assert equal(read_part(tmp_path / "a.zarr.zip")[0], {"x": array})


def test_an_empty_part_is_a_part(tmp_path):
    """A job may have nothing to keep."""
    empty = {"x": np.zeros((0, 4), np.float16)}
    write_part(tmp_path / "a.zarr.zip", empty, {})
    assert equal(read_part(tmp_path / "a.zarr.zip")[0], empty)


def test_equal_arrays_make_equal_bytes(tmp_path, arrays, monkeypatch):
    """Whenever they are written: a card's digest stands for the result, not for the clock."""
    monkeypatch.setattr(parts, "CHUNK_BYTES", 64)
    write_part(tmp_path / "a.zarr.zip", arrays, {"k": 1})
    later = time.time() + 1000
    monkeypatch.setattr(time, "time", lambda: later)
    write_part(tmp_path / "b.zarr.zip", arrays, {"k": 1})
    assert (tmp_path / "a.zarr.zip").read_bytes() == (tmp_path / "b.zarr.zip").read_bytes()


def test_arrays_of_other_lengths_are_no_part(tmp_path):
    """They share their first axis."""
    with pytest.raises(ValueError, match=r"differ in length: a \(2,\), b \(3,\)"):
        write_part(tmp_path / "a.zarr.zip", {"a": np.zeros(2), "b": np.zeros(3)}, {})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_part_is_one_sentence(tmp_path, arrays, kept):
    """At any length."""
    path = tmp_path / "a.zarr.zip"
    write_part(path, arrays, {})
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data))])
    for read in (read_part, lambda file: open_parts([file])):
        with pytest.raises(UserError, match=r"a\.zarr\.zip is damaged .*: run `tessera repair`"):
            read(path)


def test_a_flipped_byte_is_one_sentence(tmp_path):
    """Somewhere in the data."""
    path = tmp_path / "a.zarr.zip"
    write_part(path, {"x": np.zeros(10_000, np.uint8)}, {})
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"is damaged .*: run `tessera repair`"):
        read_part(path)


def test_a_zip_that_is_no_part_is_one_sentence(tmp_path):
    """Another program's file under the same name."""
    np.savez(tmp_path / "a.zarr.zip", x=np.zeros(3))
    path = tmp_path / "a.zarr.zip.npz"
    with pytest.raises(UserError, match=r"is damaged"):
        read_part(path)


def test_an_absent_part_is_one_sentence(tmp_path):
    """It names the file."""
    with pytest.raises(UserError, match=r"a\.zarr\.zip does not exist: run the stage"):
        read_part(tmp_path / "a.zarr.zip")
    with pytest.raises(UserError, match="no parts were given"):
        open_parts([])


def test_parts_are_one_lazy_array(tmp_path, arrays):
    """In the order given, equal to what numpy concatenates."""
    paths = [tmp_path / f"{part_name(i, 2)}.zarr.zip" for i in range(2)]
    write_part(paths[0], arrays, {"k": 0})
    write_part(paths[1], {name: array[:4] for name, array in arrays.items()}, {"k": 1})
    lazy, attributes = open_parts(paths)
    assert attributes == {"k": 0}
    for name, array in arrays.items():
        assert lazy[name].shape == (14, *array.shape[1:])
        assert np.array_equal(lazy[name].compute(), np.concatenate([array, array[:4]]))
        assert np.array_equal(lazy[name][8:12].compute(), np.concatenate([array[8:], array[:2]]))


def test_parts_of_two_sets_do_not_mix(tmp_path, arrays):
    """They hold other arrays."""
    write_part(tmp_path / "a.zarr.zip", arrays, {})
    write_part(tmp_path / "b.zarr.zip", {"codes": arrays["codes"]}, {})
    with pytest.raises(UserError, match=r"b\.zarr\.zip holds other arrays than .*a\.zarr\.zip"):
        open_parts([tmp_path / "a.zarr.zip", tmp_path / "b.zarr.zip"])


def test_arrays_of_other_lengths_are_noticed(tmp_path):
    """By the reader too, whoever wrote them."""
    with ZipStore(tmp_path / "a.zarr.zip", mode="w") as store:
        group = zarr.create_group(store)
        for name, length in (("a", 2), ("b", 3)):
            group.create_array(name, data=np.ones(length))
    with pytest.raises(UserError, match=r"other lengths: .*b \(3,\).*\): run `tessera"):
        read_part(tmp_path / "a.zarr.zip")
