"""The small classifier that serves as feature extractor."""

import pytest
import torch

from tessera.models.classifier import Classifier, ClassifierConfig


@pytest.fixture
def model() -> Classifier:
    """A small classifier with fixed weights."""
    torch.manual_seed(0)
    return Classifier(ClassifierConfig(classes=7, width=32, image_size=16))


def test_shapes(model: Classifier) -> None:
    """Features are [B, width] and logits [B, classes]."""
    images = torch.rand(5, 3, 16, 16)
    assert model.features(images).shape == (5, 32)
    assert model.logits(images).shape == (5, 7)


def test_logits_are_linear_in_the_features(model: Classifier) -> None:
    """The features are the penultimate layer: one matrix away from the logits."""
    images = torch.rand(4, 3, 16, 16)
    expected = model.features(images) @ model.head.weight.T + model.head.bias
    torch.testing.assert_close(model(images), expected)


def test_features_are_not_negative(model: Classifier) -> None:
    """Features are means of rectified maps."""
    assert (model.features(torch.rand(8, 3, 16, 16)) >= 0).all()


def test_images_do_not_see_each_other(model: Classifier) -> None:
    """An image's features are the same alone and in a batch, in training mode too."""
    images = torch.rand(6, 3, 16, 16)
    model.train()
    torch.testing.assert_close(model.features(images)[2:3], model.features(images[2:3]))


@pytest.mark.parametrize("shape", [(2, 3, 32, 32), (2, 1, 16, 16), (3, 16, 16)])
def test_other_image_shapes_are_refused(model: Classifier, shape: tuple[int, ...]) -> None:
    """Images of another size or channel count are an error, not a silent result."""
    with pytest.raises(ValueError, match="expected images"):
        model.features(torch.rand(shape))


@pytest.mark.parametrize("settings", [{"width": 20}, {"image_size": 8}, {"classes": 1}])
def test_impossible_sizes_are_refused(settings: dict[str, int]) -> None:
    """Sizes that the network cannot have are an error at once."""
    with pytest.raises(ValueError, match=r"must be|needs"):
        ClassifierConfig(**settings)
