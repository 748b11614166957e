"""Counts of images before any is read."""

import json
from pathlib import Path

import pytest

from tessera.config.schema import Config
from tessera.plan import images as module
from tessera.plan.images import FILE_BYTES, images


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module._folder.cache_clear()


def config(**data) -> Config:
    return Config.model_validate({"data": {"some": data}})


def counts(**data) -> tuple[int, int, int, bool]:
    found = images(config(**data), "some")
    return found.train, found.validation, found.classes, bool(found.assumed)


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def test_known_sets():
    """The digits, and ImageNet by what the config expects; no file is looked at."""
    assert counts(kind="digits", validation_share=0.5) == (899, 898, 10, False)
    expected = (1_281_167, 50_000, 1000, False)
    assert counts(kind="folder", path="nowhere", expect="imagenet") == expected


def test_a_folder_is_counted():
    """With splits of its own, or split by a share."""
    touch(*(f"a/train/{c}/{i}.png" for c in "xyz" for i in range(4)), "a/val/x/1.png")
    assert counts(kind="folder", path="a") == (12, 1, 3, True)
    touch(*(f"b/{c}/{i}.png" for c in "xy" for i in range(5)))
    assert counts(kind="folder", path="b", validation_share=0.3) == (7, 3, 2, True)


def test_many_classes_are_taken_for_alike():
    """The first 32 are looked at."""
    touch(*(f"a/{c:03d}/{i}.png" for c in range(64) for i in range(2)), "a/063/more.png")
    train, validation, classes, _ = counts(kind="folder", path="a")
    assert (train + validation, classes) == (128, 64)


def test_tars_are_measured():
    """By their bytes, and said to be a guess."""
    for name, count in (("train.tar", 30), ("validation.tar", 5)):
        Path(name).write_bytes(bytes(count * FILE_BYTES))
    found = counts(kind="webdataset", train="train.tar", validation="validation.tar")
    assert found == (30, 5, 1000, True)


def test_nothing_is_there_yet():
    """Not an error: a plan comes before the download."""
    assert counts(kind="folder", path="nowhere") == (1_281_167, 50_000, 1000, True)


def test_finished_shards_tell():
    """As long as the settings are theirs."""
    settings = config(kind="folder", path="nowhere").data["some"].model_dump(mode="json")
    card = {
        "node": {"settings": settings},
        "results": {"train_images": 70, "validation_images": 7, "classes": 4},
    }
    Path("results/shards/some").mkdir(parents=True)
    Path("results/shards/some/card.json").write_text(json.dumps(card))
    assert counts(kind="folder", path="nowhere") == (70, 7, 4, False)
    assert counts(kind="folder", path="nowhere", seed=1) == (1_281_167, 50_000, 1000, True)
