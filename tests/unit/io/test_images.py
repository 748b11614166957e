"""Sample sets and pictures on disk."""

import tracemalloc

import numpy as np
import pytest
from PIL import Image

from tessera.errors import UserError
from tessera.io.images import adm_shape, iterate_adm, pick_adm, write_adm, write_png


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
    with np.load(tmp_path / "set.npz") as archive:
        assert archive.files == ["arr_0"]
        assert np.array_equal(archive["arr_0"], images)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_the_bytes_depend_on_the_images_alone(tmp_path, monkeypatch, size):
    """Not on the time, nor on the pieces in which they come: equal sets have equal digests."""
    images = np.random.default_rng(1).integers(0, 256, (7, 4, 4, 3), dtype=np.uint8)
    labels = np.arange(7)
    write_adm(tmp_path / "a.npz", [images], images.shape, labels)
    monkeypatch.setattr("time.time", lambda: 2e9)
    pieces = [images[i : i + size] for i in range(0, 7, size)]
    write_adm(tmp_path / "b.npz", pieces, images.shape, labels)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_pieces_in_another_memory_layout(tmp_path):
    """A transposed view is written as it reads, not as it lies in memory."""
    images = np.random.default_rng(2).integers(0, 256, (3, 3, 4, 5), dtype=np.uint8)
    turned = images.transpose(0, 2, 3, 1)  # [N, 3, H, W] → [N, H, W, 3]
    write_adm(tmp_path / "set.npz", [turned], turned.shape)
    with np.load(tmp_path / "set.npz") as archive:
        assert np.array_equal(archive["arr_0"], turned)


def test_a_set_that_breaks_off_leaves_nothing(tmp_path):
    """As when sampling's parts are damaged half-way."""

    def pieces():
        yield np.zeros((1, 4, 4, 3), np.uint8)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        write_adm(tmp_path / "set.npz", pieces(), (2, 4, 4, 3))
    assert not list(tmp_path.iterdir())


def test_fewer_images_than_announced(tmp_path):
    """The header would promise images that are not there."""
    with pytest.raises(ValueError, match="2 images were announced, 1 came"):
        write_adm(tmp_path / "set.npz", [np.zeros((1, 4, 4, 3), np.uint8)], (2, 4, 4, 3))
    assert not list(tmp_path.iterdir())


def test_a_picture_comes_back(tmp_path):
    """PNG loses nothing."""
    image = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    write_png(tmp_path / "a.png", image)
    with Image.open(tmp_path / "a.png") as read:
        assert np.array_equal(np.asarray(read), image)


@pytest.mark.parametrize("save", ["write_adm", "savez", "savez_compressed"])
@pytest.mark.parametrize("batch", [1, 3, 7, 100])
def test_a_set_is_read_in_pieces(tmp_path, save, batch):
    """As numpy reads it whole, whoever wrote it."""
    images = np.random.default_rng(3).integers(0, 256, (7, 4, 6, 3), dtype=np.uint8)
    path = tmp_path / "set.npz"
    if save == "write_adm":
        write_adm(path, [images], images.shape, np.arange(7))
    else:
        getattr(np, save)(path, images, np.arange(7))
    pieces = list(iterate_adm(path, batch))
    assert adm_shape(path) == (7, 4, 6, 3)
    assert [len(piece) for piece in pieces[:-1]] == [batch] * (len(pieces) - 1)
    assert np.array_equal(np.concatenate(pieces), images)
    assert all(piece.flags.writeable for piece in pieces)


def test_reading_in_pieces_needs_no_more_memory_than_a_piece(tmp_path):
    """50,000 images of 256 pixels are 9.8 GB."""
    piece = np.zeros((10, 64, 64, 3), np.uint8)
    write_adm(tmp_path / "set.npz", (piece for _ in range(100)), (1000, 64, 64, 3))
    tracemalloc.start()
    count = sum(len(found) for found in iterate_adm(tmp_path / "set.npz", 10))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 1000
    assert peak < 5 * piece.nbytes  # the set is a hundred pieces


@pytest.mark.parametrize("batch", [1, 4, 100])
@pytest.mark.parametrize("places", [[0], [3, 7, 8], range(10), [9, 2]])
def test_some_images_of_a_set(tmp_path, batch, places):
    """In the set's order, whatever the order of the places; never an empty piece."""
    images = np.random.default_rng(4).integers(0, 256, (10, 4, 4, 3), dtype=np.uint8)
    write_adm(tmp_path / "set.npz", [images], images.shape)
    pieces = list(pick_adm(tmp_path / "set.npz", places, batch))
    assert all(len(piece) for piece in pieces)
    assert np.array_equal(np.concatenate(pieces), images[sorted(places)])


def test_nothing_is_read_beyond_the_last(tmp_path, monkeypatch):
    """The first images of 50,000 are there at once."""
    images = np.zeros((100, 4, 4, 3), np.uint8)
    write_adm(tmp_path / "set.npz", [images], images.shape)
    read = []

    def counted(path, batch):
        for piece in iterate_adm(path, batch):
            read.append(len(piece))
            yield piece

    monkeypatch.setattr("tessera.io.images.iterate_adm", counted)
    assert sum(map(len, pick_adm(tmp_path / "set.npz", [0, 12], 10))) == 2
    assert sum(read) == 20


def test_no_sample_set(tmp_path):
    """Absent, of other things, damaged: the user's to mend."""
    path = tmp_path / "set.npz"
    with pytest.raises(UserError, match="does not exist: run the stage `samples`"):
        list(iterate_adm(path, 2))
    for wrong in (np.zeros((2, 4, 4, 3), np.float32), np.zeros((2, 4, 4), np.uint8)):
        np.savez(path, wrong)
        with pytest.raises(UserError, match="not uint8 images"):
            list(iterate_adm(path, 2))
    np.savez(path, mu=np.zeros(3))
    with pytest.raises(UserError, match="no sample set in ADM's layout"):
        list(iterate_adm(path, 2))
    write_adm(path, [np.zeros((5, 4, 4, 3), np.uint8)], (5, 4, 4, 3))
    whole = bytearray(path.read_bytes())
    whole[200] ^= 1  # in the images, which the archive's checksum covers
    path.write_bytes(whole)
    with pytest.raises(UserError, match="damaged"):
        list(iterate_adm(path, 2))
    path.write_bytes(whole[:150])
    with pytest.raises(UserError, match="damaged"):
        list(iterate_adm(path, 2))
