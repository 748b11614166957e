"""Sample sets and pictures on disk."""

import numpy as np
from PIL import Image

from tessera.io.images import read_adm, write_adm, write_png


def test_a_sample_set_is_read_by_numpy(tmp_path):
    """ADM's layout: arr_0 uint8 [N, H, W, 3], arr_1 int64 [N]."""
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)
    labels = np.array([3, 1, 4, 1, 5])
    pieces = (images[i : i + 2] for i in range(0, 5, 2))
    write_adm(tmp_path / "set.npz", pieces, images.shape, labels)
    with np.load(tmp_path / "set.npz", allow_pickle=False) as archive:
        assert set(archive.files) == {"arr_0", "arr_1"}
        assert np.array_equal(archive["arr_0"], images)
        assert np.array_equal(archive["arr_1"], labels)
        assert (archive["arr_0"].dtype, archive["arr_1"].dtype) == (np.uint8, np.int64)


def test_a_set_without_labels(tmp_path):
    """Unconditional samples have no arr_1."""
    images = np.zeros((2, 4, 4, 3), np.uint8)
    write_adm(tmp_path / "set.npz", [images], images.shape)
    read, labels = read_adm(tmp_path / "set.npz")
    assert np.array_equal(read, images)
    assert labels is None


def test_a_picture_comes_back(tmp_path):
    """PNG loses nothing."""
    image = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    write_png(tmp_path / "a.png", image)
    with Image.open(tmp_path / "a.png") as read:
        assert np.array_equal(np.asarray(read), image)
