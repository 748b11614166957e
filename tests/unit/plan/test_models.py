"""Sizes of models: of settings, of imported weights, by name."""

from pathlib import Path

import pytest

from tessera.config.load import load
from tessera.config.tokenizers import PublishedEncoder, TimmEncoder
from tessera.io.weights import save_model
from tessera.models.vit import VisionTransformer, ViTConfig
from tessera.plan import models
from tessera.plan.cost import Task
from tessera.plan.stages import cost

REPO = Path(__file__).parents[3]


def test_sizes_of_imported_weights(tmp_path):
    """Whatever the variant is called; a folder that is there goes before its name."""
    config = ViTConfig(32, 16, width=24, depth=2, heads=4, mlp_ratio=2.0, registers=3)
    folder = tmp_path / "dinov2-large"
    folder.mkdir()
    save_model(folder, VisionTransformer(config), config)
    found = models.encoder_shape("eye", PublishedEncoder(kind="published", path=str(folder)))
    assert (found.patch_size, found.width, found.depth, found.registers) == (16, 24, 2, 3)


@pytest.mark.parametrize(
    ("said", "name", "width", "depth", "patch"),
    [
        ({"kind": "timm", "model": "vit_large_patch16_dinov3.lvd"}, "base", 1024, 24, 16),
        ({"kind": "timm", "model": "vit_base_patch14_reg4_dinov2"}, "eye", 768, 12, 14),
        ({"kind": "timm", "model": "some_vit"}, "my_small_one", 384, 12, 14),
        ({"kind": "published", "path": "published/DINOv2-Base"}, "eye", 768, 12, 14),
        ({"kind": "timm", "model": "vit_of_no_size"}, "eye", 768, 12, 14),
    ],
)
def test_sizes_by_name(said, name, width, depth, patch):
    """Of timm's model or the folder, else of the variant, else the base one's."""
    kind = TimmEncoder if said["kind"] == "timm" else PublishedEncoder
    found = models.encoder_shape(name, kind(**said))
    assert (found.width, found.depth, found.patch_size) == (width, depth, patch)


def test_published_models_have_the_sizes_of_the_trained():
    """Where nothing is imported yet, and what is guessed is said."""
    trained = load([REPO / "configs/imagenet-digit-base-cond.yaml"])
    published = load([REPO / "configs/published-digit.yaml"])
    for section, size in (("stage1", models.stage1_size), ("stage2", models.stage2_size)):
        for name in getattr(trained, section):
            assert size(trained, name) == size(published, name)
    assert any(line.startswith("stage1.cond_base: ") for line in models.guessed(published))


def test_features_of_imagenet():
    """Ten of twelve blocks, each of 12 x 768^2 weights, for 261 tokens of each image.

    These are 256 patches, a class token and four registers; attention's two products come on top.
    """
    config = load([REPO / "configs/imagenet-base.yaml"])
    block = 2 * 261 * 12 * 768**2 + 4 * 261**2 * 768
    patches = 2 * 256 * 3 * 14**2 * 768
    found = cost(config, Task("features", "features", "dinov2_base", parts=8))
    assert found.operations == pytest.approx(1_281_167 / 8 * (10 * block + patches))


def test_a_training_counts_its_validation():
    """Three passes an image of an update; 2,048 images a line of the log, 50,000 at the end."""
    config = load([REPO / "configs/imagenet-vq-base.yaml"])
    (name,) = config.stage1
    training = config.stage1[name].training
    forward = cost(config, Task("probe", "probes", "linear_vq", each=name)).bfloat16
    probe = config.probes["linear_vq"]
    forward /= probe.steps * probe.batch + 50_000
    lines = 1 + training.steps // config.log_every  # the first update, then every hundredth
    images = 3 * training.steps * training.batch + lines * 2048 + 50_000
    assert cost(config, Task("stage1", "stage1", name)).operations == pytest.approx(
        forward * images, rel=1e-9
    )
