"""Sides of views: what is cut in training and in validation fits what reads it."""

import pytest

from tessera.errors import UserError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"views.digits.validation_crop": 33}, r"views\.digits\.validation_crop \(33\) is larger"),
        (
            {"views.digits": {"data": "digits", "crop": 40, "resized_crop": True}},
            r"views\.digits\.validation_crop \(40\) is larger than the image \(32\)",
        ),
        (
            {"views.shapes.validation_crop": 16},
            r"autoencoders\.shapes reads images of 32 pixels, and views\.shapes\.validation_crop",
        ),
        (
            {"views.two": {"data": "digits", "crop": 32, "validation_crop": 16},
             "tokens.two": {"views": "two", "codebook": "k8"}},
            r"tokens\.two would have other lengths .* of 32 and 16 pixels: .*an `input_size`",
        ),
        (
            {"views.two": {"data": "digits", "crop": 32, "validation_crop": 16},
             "tokens.two": {"views": "two", "autoencoder": "vqgan"}},
            r"tokens\.two would have other lengths",
        ),
        (
            {"data.shapes.in_place": True},
            r"data\.shapes: in_place reads the files as they are: remove image_size",
        ),
        (
            {"data.tars": {"kind": "webdataset", "train": []}},
            r"data\.tars\.train: .*at least 1 item",
        ),
        (
            {"data.tars": {"kind": "webdataset", "train": "a.tar", "image_size": 32}},
            r"data\.tars\.image_size is no known setting",
        ),
        ({"data.shapes.expect": "imagenet1k"}, r"data\.shapes\.expect: input should be 'imagenet'"),
    ],
)  # fmt: skip
def test_sides_that_do_not_fit_are_said(changed, values, message):
    """Before any compute, with the place in the config."""
    with pytest.raises(UserError, match=message):
        changed(values)


def test_resized_crops_may_be_larger_than_the_image(changed):
    """They are enlarged; validation has a side of its own."""
    views = {"data": "digits", "crop": 40, "resized_crop": True, "validation_crop": 32}
    assert changed({"views.large": views}).views["large"].side("validation") == 32


def test_tokens_of_two_sides_are_resized_to_one(changed):
    """As the probe's: crops of 256 in training, of 224 in validation, features of 224."""
    config = changed(
        {
            "views.two": {"data": "digits", "crop": 32, "validation_crop": 24},
            "tokens.two": {"views": "two", "codebook": "k8"},
            "features.dino.input_size": 24,
        }
    )
    assert config.views["two"].side("train") == 32
