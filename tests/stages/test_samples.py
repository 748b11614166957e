"""What others read of a sample set: ADM's layout and a picture."""

import shutil

import numpy as np
import pytest
from PIL import Image

from tessera.io.parts import read_part, write_part
from tessera.report.pictures.grids import GAP
from tessera.stages import samples


@pytest.mark.parametrize(("name", "count"), [("cond_ar", 20), ("uncond_nar", 20), ("vq", 7)])
def test_adm_layout(pipeline, name, count):
    """arr_0 uint8 [N, H, W, 3]; arr_1 the classes, where the model was given some."""
    card = pipeline.card("samples", name)
    part, attributes = read_part(pipeline.card("samplings", name).with_suffix(".zarr.zip"))
    with np.load(card.parent / "samples.npz", allow_pickle=False) as archive:
        images, labels = archive["arr_0"], archive.get("arr_1")
    assert images.dtype == np.uint8
    assert images.shape == (count, 32, 32, 3)
    assert np.array_equal(images, part["images"])
    results = pipeline.read("samples", name)["results"]
    assert results["count"] == count
    assert results["image_size"] == 32
    if name == "uncond_nar":
        assert labels is None
        assert not results["conditional"]
        assert results["classes"] == attributes["classes"] == []
    else:
        assert labels.dtype == np.int64
        assert labels.tolist() == [i % 3 for i in range(count)]  # each class as often, but for one
        assert results["conditional"]
        assert results["classes"] == ["disc", "square", "stripes"]


def test_tokens_of_samples(pipeline):
    """A part also holds what the models drew, in the range of their vocabularies."""
    part, _ = read_part(pipeline.card("samplings", "cond_ar").with_suffix(".zarr.zip"))
    assert part["semantic"].shape == part["codes"].shape == (20, 16)
    assert part["semantic"].max() < 8
    assert part["codes"].max() < 16
    part, _ = read_part(pipeline.card("samplings", "vq").with_suffix(".zarr.zip"))
    assert "semantic" not in part


def expected_rows(file, classes) -> np.ndarray:
    """A row a class: its first ten images, twice as large, white where there are fewer."""
    with np.load(file) as archive:
        images, labels = archive["arr_0"], archive["arr_1"]
    side = 2 * 32
    shape = (len(classes) * (side + GAP) - GAP, 10 * (side + GAP) - GAP, 3)
    pixels = np.full(shape, 255, np.uint8)
    for row, label in enumerate(classes):
        for column, image in enumerate(images[labels == label][:10]):
            top, left = row * (side + GAP), column * (side + GAP)
            for i in (0, 1):
                for j in (0, 1):
                    pixels[top + i : top + side : 2, left + j : left + side : 2] = image
    return pixels


def test_picture_has_a_row_a_class(pipeline):
    """The j-th image of row c is the j-th sample of class c; its name stands to the left."""
    card = pipeline.card("samples", "cond_ar")
    wanted = expected_rows(card.parent / "samples.npz", range(3))
    with Image.open(card.parent / "grid.png") as picture:
        pixels = np.asarray(picture)
    margin = pixels.shape[1] - wanted.shape[1]
    assert np.array_equal(pixels[:, margin:], wanted)
    for row in range(3):
        words = pixels[66 * row : 66 * row + 64, :margin]
        assert (words < 128).any()
        assert not (words[[0, -1]] < 255).any()


def test_of_many_classes_some_are_shown(pipeline, tmp_path, monkeypatch):
    """Evenly spread over those that were drawn: here the first and the third of four rows."""
    monkeypatch.setattr(samples, "ROWS", 2)
    part = tmp_path / pipeline.card("samplings", "cond_ar").name
    arrays, attributes = read_part(pipeline.card("samplings", "cond_ar").with_suffix(".zarr.zip"))
    arrays["label"] = np.array([0, 1, 3, 7], np.int64)[np.arange(20) % 4]
    names = [f"kind {number}" for number in range(9)]
    shutil.copy(pipeline.card("samplings", "cond_ar"), part)
    write_part(part.with_suffix(".zarr.zip"), arrays, attributes | {"classes": names})
    pipeline.run("samples", "cond_ar", tmp_path / "out", parts=[pipeline.stamp(part)])
    card = pipeline.card("samples", "cond_ar", tmp_path / "out")
    wanted = expected_rows(card.parent / "samples.npz", [0, 3])
    with Image.open(card.parent / "grid.png") as picture:
        pixels = np.asarray(picture)
    assert np.array_equal(pixels[:, pixels.shape[1] - wanted.shape[1] :], wanted)


def test_names_of_rows():
    """A class without a name of its own is called by its number alone."""
    assert samples.row_name(7, "7") == "7"
    assert samples.row_name(207, "n02099601") == "207 n02099601"
