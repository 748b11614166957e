"""Reading packed images: as a stream, in parts, or all at once."""

import numpy as np
import pytest

from tessera.config.data import Views
from tessera.data.images import ShardIndex
from tessera.data.shards import pack
from tessera.data.sources import Item
from tessera.errors import UserError
from tessera.io.files import write_json

VIEWS = Views(data="set", crop=16, count=2)


@pytest.fixture
def index(tmp_path, png) -> ShardIndex:
    """Eleven training images in three shards, four of validation in one."""
    splits = {}
    for split, count, shards in (("train", 11, 3), ("validation", 4, 1)):
        items = [Item(f"{i}", i % 3, lambda i=i: png(seed=i)) for i in range(count)]
        files = [tmp_path / f"{split}-{i}.tar" for i in range(shards)]
        splits[split] = pack(items, files, 3, None, 0.0).json()
    write_json(tmp_path / "index.json", {"classes": ["a", "b", "c"], "splits": splits})
    return ShardIndex(tmp_path / "index.json")


def test_a_split_is_loaded_in_order(index):
    """All images with their classes and numbers."""
    images = index.load("train", VIEWS)
    assert images.pixels.shape == (11, 2, 3, 16, 16)
    assert images.numbers.tolist() == list(range(11))
    assert images.labels.tolist() == [i % 3 for i in range(11)]
    assert (index.count("train"), index.count("validation")) == (11, 4)


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_a_stream_has_batches_of_the_size_asked_for(index, batch):
    """The last one may be smaller; the images are those of the whole."""
    whole = index.load("train", VIEWS)
    pieces = list(index.stream("train", VIEWS, batch))
    assert [len(piece.labels) for piece in pieces[:-1]] == [batch] * (len(pieces) - 1)
    assert np.array_equal(np.concatenate([piece.pixels for piece in pieces]), whole.pixels)


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_parts_share_the_images(index, parts):
    """Each image in one part, the same pixels in whichever."""
    whole = index.load("train", VIEWS)
    seen = []
    for part in range(parts):
        for piece in index.stream("train", VIEWS, 4, part, parts):
            assert np.array_equal(piece.pixels, whole.pixels[piece.numbers])
            seen += piece.numbers.tolist()
    assert sorted(seen) == list(range(11))


def test_a_damaged_shard_is_said(index):
    """With its name."""
    (index.folder / "train-1.tar").write_bytes(b"")
    with pytest.raises(UserError, match=r"train-1\.tar"):
        index.load("train", VIEWS)


def test_a_small_image_is_named_with_its_shard(index):
    """The crop does not fit."""
    with pytest.raises(UserError, match=r"train-0\.tar, image 0: .*smaller than the crop \(17\)"):
        index.load("train", Views(data="set", crop=17))
