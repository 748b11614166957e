"""What others read of a sample set: ADM's layout and a picture."""

import numpy as np
import pytest
from PIL import Image

from tessera.io.parts import read_part
from tessera.report.grids import GAP


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


def test_picture_has_a_row_a_class(pipeline):
    """The j-th image of row c is the j-th sample of class c, enlarged so that it can be seen."""
    card = pipeline.card("samples", "cond_ar")
    with np.load(card.parent / "samples.npz") as archive:
        images, labels = archive["arr_0"], archive["arr_1"]
    with Image.open(card.parent / "grid.png") as picture:
        pixels = np.asarray(picture)
    side = 2 * 32
    assert pixels.shape == (3 * (side + GAP) - GAP, 10 * (side + GAP) - GAP, 3)
    for row in range(3):
        of_class = images[labels == row]
        for column in range(10):
            top, left = row * (side + GAP), column * (side + GAP)
            shown = pixels[top : top + side : 2, left : left + side : 2]
            expected = of_class[column] if column < len(of_class) else 255  # white where none is
            assert np.array_equal(shown, np.broadcast_to(expected, shown.shape))
