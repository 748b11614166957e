"""Images as people have them: broken ones, small ones, one for too many shards."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from tessera.config import sources


@pytest.fixture
def folder(pipeline, tmp_path) -> Path:
    """A copy of the images that a test may spoil."""
    shutil.copytree(pipeline.root / "images", tmp_path / "images")
    return tmp_path / "images"


@pytest.fixture
def spoiled(pipeline, folder):
    """The pipeline on that folder; further settings of the data set may be changed."""
    sources.fingerprint.cache_clear()

    def change(**settings):
        values = {"path": str(folder)} | settings
        return pipeline.changed({f"data.shapes.{key}": value for key, value in values.items()})

    return change


def test_a_broken_image_is_left_out_and_listed(spoiled, folder, tmp_path):
    """One of 48 is less than the share allowed."""
    broken = folder / "train" / "disc" / "3.png"
    broken.write_bytes(broken.read_bytes()[:200])
    card = spoiled().run("data", "shapes", tmp_path / "out", max_corrupt_share=0.05)
    assert card["results"]["train_images"] == 47
    assert card["results"]["validation_images"] == 12
    (skipped,) = card["results"]["skipped"]
    assert skipped["name"] == str(broken)
    assert "no readable image" in skipped["reason"]


def test_too_many_broken_images(spoiled, folder, tmp_path):
    """Two of 48 are more than 2 %: more likely a wrong folder than bad luck."""
    for number in (3, 4):
        (folder / "train" / "disc" / f"{number}.png").write_bytes(b"no image")
    outcome = spoiled().call("data", "shapes", tmp_path / "out", max_corrupt_share=0.02)
    assert "2 of 48 images cannot be read" in outcome.error
    assert "disc" in outcome.error
    assert "max_corrupt_share" in outcome.error
    assert not (tmp_path / "out" / "data" / "shapes" / "card.json").exists()


def test_an_image_smaller_than_the_crop(spoiled, folder, tmp_path):
    """The files keep their sizes, so only the one image tells."""
    small = folder / "train" / "square" / "5.png"
    Image.open(small).resize((20, 20)).save(small)
    pipeline = spoiled(image_size=None)
    pipeline.run("data", "shapes", tmp_path / "out")
    shards = pipeline.card("data", "shapes", tmp_path / "out")
    outcome = pipeline.call("autoencoders", "vqgan", tmp_path / "out", shards=shards)
    for words in (".tar, image ", "(20x20) is smaller than the crop (32)", "set `resize`"):
        assert words in outcome.error
    assert not (tmp_path / "out" / "autoencoders").exists()


def test_fewer_images_than_shards(spoiled, tmp_path):
    """Lower than asked for by one."""
    outcome = spoiled(shards={"train": 49}).call("data", "shapes", tmp_path / "out")
    assert "48 images do not fill 49 shards" in outcome.error
    assert "lower `shards`" in outcome.error


def test_a_class_of_the_validation_split_alone(spoiled, folder, tmp_path):
    """No model could ever have learned it."""
    (folder / "validation" / "cross").mkdir()
    outcome = spoiled().call("data", "shapes", tmp_path / "out")
    assert "cross is a class that the training split does not have" in outcome.error


def test_a_folder_without_classes(spoiled, folder, tmp_path):
    """All images in one heap."""
    outcome = spoiled(path=str(folder / "train" / "disc")).call("data", "shapes", tmp_path / "out")
    assert "has no subfolders" in outcome.error
    assert "folder of its own" in outcome.error
