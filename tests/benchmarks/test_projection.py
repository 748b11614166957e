"""What a recipe would cost: the sizes of encoders, and what is counted of a training."""

import importlib.util
from pathlib import Path

import pytest
import torch

from tessera.config.load import load
from tessera.config.tokenizers import PublishedEncoder, TimmEncoder
from tessera.errors import UserError
from tessera.io.weights import save_model
from tessera.models.vit import VisionTransformer, ViTConfig

REPO = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def projection():
    """The benchmark's module."""
    spec = importlib.util.spec_from_file_location("projection", REPO / "benchmarks/projection.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_sizes_of_imported_weights(projection, tmp_path):
    """Whatever the variant is called; a folder that is there goes before its name."""
    config = ViTConfig(32, 16, width=24, depth=2, heads=4, mlp_ratio=2.0, registers=3)
    folder = tmp_path / "dinov2-large"
    folder.mkdir()
    save_model(folder, VisionTransformer(config), config)
    found = PublishedEncoder(kind="published", path=str(folder))
    assert projection.encoder_sizes("eye", found) == config


@pytest.mark.parametrize(
    ("said", "name", "width", "depth", "patch"),
    [
        ({"kind": "timm", "model": "vit_large_patch16_dinov3.lvd"}, "base", 1024, 24, 16),
        ({"kind": "timm", "model": "vit_base_patch14_reg4_dinov2"}, "eye", 768, 12, 14),
        ({"kind": "timm", "model": "some_vit"}, "my_small_one", 384, 12, 14),
        ({"kind": "published", "path": "published/DINOv2-Base"}, "eye", 768, 12, 14),
    ],
)
def test_sizes_by_name(projection, said, name, width, depth, patch):
    """Of timm's model or the folder, else of the variant."""
    kind = TimmEncoder if said["kind"] == "timm" else PublishedEncoder
    sizes = projection.encoder_sizes(name, kind(**said))
    assert (sizes.width, sizes.depth, sizes.patch_size) == (width, depth, patch)
    assert sizes.width == 64 * sizes.heads


def test_no_sizes_to_be_found(projection, tmp_path, capsys, monkeypatch):
    """One sentence, and no trace of the program."""
    unknown = TimmEncoder(kind="timm", model="vit_giant_patch14_dinov2")
    with pytest.raises(UserError, match=r"nothing tells the sizes of the encoder eye \(small"):
        projection.encoder_sizes("eye", unknown)
    recipe = renamed(tmp_path, "vit_giant_patch14_dinov2")
    monkeypatch.setattr("sys.argv", ["projection.py", str(recipe)])
    assert projection.main() == 1
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("nothing tells the sizes of the encoder eye")
    assert error.count("\n") == 1


def renamed(folder: Path, model: str) -> Path:
    """The recipe of the base model with an encoder of another name."""
    file = folder / "renamed.yaml"
    file.write_text(
        f"base: {REPO / 'configs/imagenet-base.yaml'}\n"
        f"encoders: {{eye: {{kind: timm, model: {model}}}}}\n"
        "features: {dinov2_base: {encoder: eye}}\n"
    )
    return file


@pytest.mark.slow
def test_an_encoder_of_another_name_costs_the_same(projection, tmp_path):
    """Features, K-Means and tokens of one network."""
    with torch.device("meta"):
        usual = projection.rows(load([REPO / "configs/imagenet-base.yaml"]))
        other = projection.rows(load([renamed(tmp_path, "vit_base_patch14_dinov2")]))
    assert usual == other
    (features,) = (row for row in usual if row["what"] == "features dinov2_base")
    # Ten of twelve blocks, each of 12 x 768^2 weights, are run for 256 patches, a class token and
    # four registers of each image, and attention's two products of 261 x 261 x 768.
    block = 2 * 261 * 12 * 768**2 + 4 * 261**2 * 768
    patches = 2 * 256 * 3 * 14**2 * 768
    assert features["operations"] == pytest.approx(1_281_167 * (10 * block + patches), rel=1e-6)


@pytest.mark.parametrize(
    ("steps", "log_every", "lines"), [(250, 100, 4), (200, 100, 3), (3, 1, 3), (5, 50, 2)]
)
def test_validation_is_counted(projection, steps, log_every, lines):
    """2,048 images at the first update, at every further line and the last; then all 50,000."""
    assert projection.validated(steps, log_every) == lines * 2048 + 50_000


@pytest.mark.slow
def test_a_training_counts_its_validation(projection):
    """Three passes an update and image, one a validation image."""
    with torch.device("meta"):
        config = load([REPO / "configs/imagenet-vq-base.yaml"])
        rows = {row["what"]: row["operations"] for row in projection.rows(config)}
    (name,) = config.stage1
    training = config.stage1[name].training
    probe = rows["probe " + next(iter(config.probes))]
    settings = next(iter(config.probes.values()))
    forward = probe / (settings.steps * settings.batch)
    images = 3 * training.steps * training.batch + projection.validated(
        training.steps, config.log_every
    )
    assert rows[f"stage1 {name}"] == pytest.approx(forward * images, rel=1e-9)
