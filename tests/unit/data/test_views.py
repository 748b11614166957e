"""Seeded crops, and their agreement with torchvision."""

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import CenterCrop, InterpolationMode, Resize

from tessera.config.data import Views
from tessera.data.shards import resize_shorter
from tessera.data.views import cut_views
from tessera.errors import UserError


def views(**settings) -> Views:
    return Views(**{"data": "digits", "crop": 8, **settings})


@pytest.mark.parametrize("size", [(20, 16), (16, 21), (9, 8), (8, 8), (15, 11)])
@pytest.mark.parametrize("crop", [7, 8])
def test_the_centre_crop_is_torchvisions(picture, size, crop):
    """Also where half a pixel has to be rounded."""
    image = picture(*size)
    (cut,) = cut_views(image, 0, views(crop=crop), "validation")
    assert np.array_equal(cut.transpose(1, 2, 0), np.asarray(CenterCrop(crop)(image)))


@pytest.mark.parametrize("size", [(20, 16), (16, 21), (33, 70), (7, 5), (100, 101)])
@pytest.mark.parametrize("side", [8, 12, 16])
def test_resizing_is_torchvisions(picture, size, side):
    """Bicubic and antialiased, the longer side rounded down."""
    image = picture(*size)
    expected = Resize(side, interpolation=InterpolationMode.BICUBIC)(image)
    assert np.array_equal(np.asarray(resize_shorter(image, side)), np.asarray(expected))


def test_the_same_draw_makes_the_same_crops(picture):
    """Semantic tokens and VQGAN codes are made from the same pixels."""
    image, settings = picture(40, 40), views(count=4, flip=True, seed=3)
    one = cut_views(image, 17, settings, "train")
    assert one.shape == (4, 3, 8, 8)
    assert one.dtype == np.uint8
    assert np.array_equal(one, cut_views(image, 17, settings, "train"))


def test_a_view_does_not_depend_on_the_number_of_views(picture):
    """More views add to the old ones."""
    image = picture(40, 40)
    few = cut_views(image, 5, views(count=2), "train")
    assert np.array_equal(cut_views(image, 5, views(count=6), "train")[:2], few)


def test_other_images_seeds_and_views_have_other_crops(picture):
    """33 x 33 places: two draws rarely meet."""
    image = picture(40, 40)
    crops = [
        cut_views(image, number, views(count=2, seed=seed), "train")[view].tobytes()
        for number in range(3)
        for seed in range(3)
        for view in range(2)
    ]
    assert len(set(crops)) > 15


def test_crops_reach_every_place(picture):
    """Both ends included, all about equally often."""
    rows = np.arange(11, dtype=np.uint8)[:, None, None]
    image = Image.fromarray(np.broadcast_to(rows, (11, 8, 3)).copy())
    tops = [cut_views(image, number, views(), "train")[0, 0, 0, 0] for number in range(400)]
    counts = np.bincount(tops, minlength=4)
    assert len(counts) == 4
    assert counts.min() > 60


def test_half_of_the_views_are_mirrored(picture):
    """And only where the config says so."""
    image = picture(8, 8)
    plain = np.asarray(image).transpose(2, 0, 1)
    cut = np.stack([cut_views(image, i, views(flip=True), "train")[0] for i in range(400)])
    mirrored = (cut == plain[:, :, ::-1]).all((1, 2, 3))
    assert ((cut == plain).all((1, 2, 3)) ^ mirrored).all()
    assert 150 < mirrored.sum() < 250
    assert np.array_equal(cut_views(image, 1, views(), "train")[0], plain)


def test_validation_images_have_one_centre_view(picture):
    """Whatever the training views are."""
    settings = views(count=5, flip=True, resize=10)
    cut = cut_views(picture(20, 30), 3, settings, "validation")
    assert cut.shape == (1, 3, 8, 8)
    assert np.array_equal(cut, cut_views(picture(20, 30), 99, settings, "validation"))


def test_training_crops_may_be_centred(picture):
    """Then every view is the centre."""
    cut = cut_views(picture(20, 16), 3, views(count=2, random_crop=False), "train")
    centre = cut_views(picture(20, 16), 3, views(), "validation")[0]
    assert np.array_equal(cut, np.stack([centre, centre]))


def test_an_image_smaller_than_the_crop_is_one_sentence(picture):
    """It names the image and both ways out."""
    with pytest.raises(UserError, match=r"image 4 \(20x6\) is smaller than the crop \(8\): set"):
        cut_views(picture(20, 6), 4, views(), "train")
