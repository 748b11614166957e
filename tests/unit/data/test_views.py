"""Seeded crops, and their agreement with torchvision."""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from torchvision.transforms import CenterCrop, InterpolationMode, RandomResizedCrop, Resize
from torchvision.transforms import functional as torchvision

from tessera.config.data import Views
from tessera.data.pixels import resize_shorter
from tessera.data.views import as_reference, cut_views, draw_box
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
@pytest.mark.parametrize("filter", ["bicubic", "bilinear"])
def test_resizing_is_torchvisions(picture, size, side, filter):
    """Antialiased, the longer side rounded down."""
    image = picture(*size)
    expected = Resize(side, interpolation=InterpolationMode(filter))(image)
    assert np.array_equal(np.asarray(resize_shorter(image, side, filter)), np.asarray(expected))


@pytest.mark.parametrize("filter", ["bicubic", "bilinear"])
def test_views_are_resized_with_their_filter(picture, filter):
    """All of them, in training and in validation."""
    image = picture(40, 24)
    expected = np.asarray(Resize(16, interpolation=InterpolationMode(filter))(image))
    settings = views(resize=16, crop=16, filter=filter)
    whole = np.asarray(torchvision.center_crop(Image.fromarray(expected), [16, 16]))
    (cut,) = cut_views(image, 0, settings, "validation")
    assert np.array_equal(cut.transpose(1, 2, 0), whole)
    (cut,) = cut_views(image, 0, settings, "train")
    windows = [expected[:, left : left + 16] for left in range(expected.shape[1] - 15)]
    assert any(np.array_equal(cut.transpose(1, 2, 0), window) for window in windows)


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


class TorchDraw:
    """Random numbers in the calls of numpy's generator, drawn by torch as torchvision does."""

    def uniform(self, low: float, high: float) -> float:
        return torch.empty(1).uniform_(low, high).item()

    def integers(self, high: int) -> int:
        return torch.randint(0, high, (1,)).item()


@pytest.mark.parametrize("size", [(40, 30), (33, 70), (500, 375), (16, 900), (900, 3), (1, 1)])
def test_boxes_are_those_of_torchvision(picture, size):
    """From the same random numbers the same box, the central one of thin images included."""
    image = Image.new("RGB", size)
    different = 0
    for seed in range(100):
        torch.manual_seed(seed)
        expected = RandomResizedCrop.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3])
        torch.manual_seed(seed)
        different += draw_box(image.height, image.width, TorchDraw()) != tuple(expected)
    assert different <= 1  # torchvision's ratios are float32: one in thousands rounds otherwise


@pytest.mark.parametrize("size", [(40, 30), (9, 200), (300, 7)])
@pytest.mark.parametrize("filter", ["bicubic", "bilinear"])
def test_resized_crops_are_those_of_torchvision(picture, size, filter):
    """The box of the original image, cut out first and resized then, mirrored last."""
    image = picture(*size)
    other = {"bicubic": "bilinear", "bilinear": "bicubic"}[filter]
    settings = views(resized_crop=True, crop=12, filter=filter, flip=True, count=8, resize=5)
    same = settings.model_copy(update={"filter": other, "crop_filter": filter})
    assert np.array_equal(*(cut_views(image, 3, each, "train") for each in (settings, same)))
    cut = cut_views(image, 3, settings, "train")
    assert cut.shape == (8, 3, 12, 12)
    mirrored = []
    for view in range(8):
        draw = np.random.Generator(np.random.Philox(key=[0, 3 * 64 + view]))
        box = draw_box(image.height, image.width, draw)
        expected = np.asarray(
            torchvision.resized_crop(image, *box, [12, 12], InterpolationMode(filter))
        ).transpose(2, 0, 1)
        mirrored.append(np.array_equal(cut[view], expected[:, :, ::-1]))
        assert mirrored[-1] or np.array_equal(cut[view], expected)
    assert 0 < sum(mirrored) < 8


def test_resized_crops_spread_as_torchvisions(picture):
    """Areas between 8 and 100 %, ratios between 3:4 and 4:3, evenly in their logarithm."""
    boxes = np.array(
        [draw_box(300, 400, np.random.default_rng(seed)) for seed in range(4000)], float
    )
    area, ratio = boxes[:, 2] * boxes[:, 3] / 120_000, np.log(boxes[:, 3] / boxes[:, 2])
    assert 0.07 < area.min() < 0.1
    assert area.max() > 0.9
    assert abs(ratio).max() < math.log(4 / 3) + 0.02
    torch.manual_seed(0)
    image = Image.new("RGB", (400, 300))
    drawn = [RandomResizedCrop.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(4000)]
    theirs = np.array(drawn, float)
    for column in range(4):
        ours, other = np.sort(boxes[:, column]), np.sort(theirs[:, column])
        assert abs(ours - other).max() < 30  # quantiles of the same law, in pixels of 300 or 400
        assert abs(ours.mean() - other.mean()) < 6


def test_validation_of_resized_crops_is_the_centre(picture):
    """Of the resized image, with a side of its own where one is given."""
    image = picture(40, 30)
    settings = views(resized_crop=True, crop=12, resize=16, validation_crop=10)
    (cut,) = cut_views(image, 0, settings, "validation")
    expected = CenterCrop(10)(Resize(16, interpolation=InterpolationMode.BICUBIC)(image))
    assert np.array_equal(cut.transpose(1, 2, 0), np.asarray(expected))
    assert (settings.side("train"), settings.side("validation")) == (12, 10)


def test_reference_images_are_centre_crops_of_either_split(picture):
    """Whatever is drawn in training, at the size of validation."""
    image = picture(40, 30)
    settings = as_reference(
        views(resized_crop=True, crop=12, resize=16, validation_crop=10, flip=True, count=3)
    )
    train = cut_views(image, 5, settings, "train")
    assert train.shape == (1, 3, 10, 10)
    assert np.array_equal(train, cut_views(image, 5, settings, "validation"))


def test_resized_crops_are_drawn():
    """A centre crop of drawn size would be neither."""
    with pytest.raises(ValidationError, match="resized_crop draws its crops: remove `random_crop"):
        views(resized_crop=True, random_crop=False)
