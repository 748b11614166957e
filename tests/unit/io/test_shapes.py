"""The shapes of a part's arrays, without zarr."""

import zipfile

import numpy as np
import pytest

from tessera.io import parts
from tessera.io.parts import write_part
from tessera.io.shapes import part_shapes


def test_shapes_are_those_of_the_arrays(tmp_path, monkeypatch):
    """Empty arrays, arrays of zeros (of which zarr stores no chunk) and of several chunks."""
    monkeypatch.setattr(parts, "CHUNK_BYTES", 64)
    path = tmp_path / "a.zarr.zip"
    write_part(path, {"x": np.ones((100, 3)), "zeros": np.zeros((100, 2, 2), np.uint8)}, {"k": 1})
    assert part_shapes(path) == {"x": [100, 3], "zeros": [100, 2, 2]}
    write_part(path, {"x": np.ones((0, 3))}, {})
    assert part_shapes(path) == {"x": [0, 3]}


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_a_truncated_part_is_an_error(tmp_path, kept):
    """The index of a zip stands at its end."""
    path = tmp_path / "a.zarr.zip"
    write_part(path, {"x": np.ones(100)}, {})
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(ValueError, match="no whole zip file"):
        part_shapes(path)


@pytest.mark.parametrize("metadata", ["{", "[]", "{}", '{"shape": 3}'])
def test_metadata_that_are_none_are_an_error(tmp_path, metadata):
    """A zip of another program."""
    path = tmp_path / "a.zarr.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/zarr.json", metadata)
    with pytest.raises(ValueError, match="no zarr group"):
        part_shapes(path)
