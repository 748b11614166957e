"""The patch discriminator."""

import pytest
import torch

from tessera.models.discriminator import DiscriminatorConfig, PatchDiscriminator


@pytest.mark.parametrize(("layers", "field"), [(1, 16), (2, 34), (3, 70)])
def test_receptive_field(layers: int, field: int) -> None:
    """A score sees 16, 34 or 70 pixels: pix2pix's patch sizes for 1, 2 and 3 layers."""
    torch.manual_seed(0)
    model = PatchDiscriminator(DiscriminatorConfig(channels=4, layers=layers, norm_groups=4))
    model.norms = torch.nn.ModuleList(torch.nn.Identity() for _ in model.norms)  # they see all
    images = torch.rand(1, 3, 128, 128, requires_grad=True)
    scores = model(images)
    middle = scores.shape[2] // 2
    (seen,) = torch.autograd.grad(scores[0, 0, middle, middle], images)
    rows = seen.abs().sum((0, 1, 3)).nonzero()
    assert rows.max() - rows.min() + 1 == field


def test_features_lead_to_the_scores() -> None:
    """The scores are the last convolution of the last features."""
    model = PatchDiscriminator(DiscriminatorConfig(channels=8, layers=2, norm_groups=4))
    images = torch.rand(2, 3, 32, 32)
    features = model.features(images)
    assert [f.shape[1:] for f in features] == [(8, 16, 16), (16, 8, 8), (32, 7, 7)]
    assert torch.equal(model.conv_out(features[-1]), model(images))
    assert model(images).shape == (2, 1, 6, 6)


def test_scores_do_not_depend_on_the_batch() -> None:
    """An image has the same scores alone and beside others."""
    model = PatchDiscriminator(DiscriminatorConfig(channels=8, layers=2, norm_groups=4))
    images = torch.rand(3, 3, 32, 32)
    torch.testing.assert_close(model(images)[:1], model(images[:1]))


@pytest.mark.parametrize(
    ("options", "said"), [({"layers": 0}, "at least one"), ({"channels": 30}, "norm_groups 32")]
)
def test_sizes_that_do_not_fit(options: dict[str, int], said: str) -> None:
    """Sizes that make no network are refused."""
    with pytest.raises(ValueError, match=said):
        DiscriminatorConfig(**options)
