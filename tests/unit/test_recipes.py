"""The recipes in configs/: they are valid, and their models are the original's in size."""

import json
from pathlib import Path

import pytest
import torch

from tessera.config.load import load
from tessera.config.schema import Config
from tessera.models.gpt import GPT
from tessera.models.maskgit import MaskGIT, MaskGITConfig
from tessera.stages import stage1, stage2

REPO = Path(__file__).parents[2]
CONFIGS = sorted(path.name for path in (REPO / "configs").glob("*.yaml"))
LENGTH, CODES, CLASSES = 256, 1024, 1000

STAGE1 = [
    ("imagenet-digit-base-uncond", "uncond_base", 8192, "stage1 uncond base K=8192"),
    ("imagenet-digit-base-cond", "cond_base", 8192, "stage1 class  base K=8192"),
    (
        "imagenet-digit-large-uncond",
        "uncond_large",
        16384,
        "stage1 uncond large24x1536h16 K=16384",
    ),
    ("imagenet-digit-large-cond", "cond_large", 16384, "stage1 class  large24x1536h16 K=16384"),
    ("imagenet-vq-base", "vq_base", CODES, "stage2 VQ only base"),
]
STAGE2 = [
    ("imagenet-base", "autoregressive_base", 8192, "stage2 AR/NAR base K=8192"),
    ("imagenet-base", "masked_base", 8192, "stage2 AR/NAR base K=8192"),
    ("imagenet-large", "autoregressive_large", 16384, "stage2 AR/NAR large24x1536h16 K=16384"),
    ("imagenet-large", "masked_large", 16384, "stage2 AR/NAR large24x1536h16 K=16384"),
]


@pytest.fixture(scope="module")
def full_size(golden: Path) -> dict[str, dict[str, int]]:
    """Parameter counts of the original's models at full size."""
    return json.loads((golden.parent / "digit-fullsize.json").read_text())


def recipe(name: str) -> Config:
    return load([REPO / "config.yaml", REPO / "configs" / f"{name}.yaml"])


@pytest.mark.parametrize("name", CONFIGS)
def test_every_recipe_is_valid(name: str) -> None:
    """And stands alone: nothing of the default experiment is left in it."""
    config = load([REPO / "config.yaml", REPO / "configs" / name])
    assert list(config.data) == ["imagenet"]
    assert config.results != "results"


def test_fewer_samples_of_the_published_models_without_one_of_them(tmp_path: Path) -> None:
    """A sampling that is off detaches none but its own heirs: the last one follows its parent."""
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        f"base: {REPO / 'configs/published-digit.yaml'}\n"
        "samplings: {uncond_base_ar: null, cond_base_ar: {count: 10_000}}\n"
        "evaluations:\n"
        "  validation: {samplings: [uncond_base_masked, cond_base_ar, cond_base_masked, vq_base]}\n"
    )
    counts = {name: entry.count for name, entry in load([mine]).samplings.items()}
    assert counts == {
        "uncond_base_masked": 50_000,
        "cond_base_ar": 10_000,
        "cond_base_masked": 10_000,
        "vq_base": 50_000,
    }


@pytest.mark.parametrize(("name", "variant", "clusters", "original"), STAGE1)
def test_stage1_has_the_original_size(
    full_size: dict[str, dict[str, int]], name: str, variant: str, clusters: int, original: str
) -> None:
    """Built by the stage's own function, without memory."""
    config = recipe(name)
    settings = config.stage1[variant]
    with torch.device("meta"):
        model = GPT(stage1.model_config(settings, clusters, LENGTH, CLASSES))
    assert sum(p.numel() for p in model.parameters()) == full_size[original]["params"]
    if settings.tokens != "codes":
        codebook = config.codebooks[config.tokens[settings.tokens].codebook]
        assert codebook.clusters == clusters


@pytest.mark.parametrize(("name", "variant", "clusters", "original"), STAGE2)
def test_stage2_has_the_original_size(
    full_size: dict[str, dict[str, int]], name: str, variant: str, clusters: int, original: str
) -> None:
    """Both decoders are one network."""
    settings = recipe(name).stage2[variant]
    config = stage2.model_config(settings, (CODES, LENGTH), (clusters, LENGTH))
    assert isinstance(config, MaskGITConfig) == variant.startswith("masked")
    with torch.device("meta"):
        model = MaskGIT(config) if isinstance(config, MaskGITConfig) else GPT(config)
    assert sum(p.numel() for p in model.parameters()) == full_size[original]["params"]


def test_recipes_sample_as_the_original() -> None:
    """50,000 images; the filters of its scripts."""
    expected = {
        "uncond_base": 200,
        "cond_base": 300,
        "uncond_large": 400,
        "cond_large": 300,
        "vq_base": None,
    }
    for name, variant, *_ in STAGE1:
        config = recipe(name)
        for sampling in config.samplings.values():
            assert sampling.count == 50_000
            assert sampling.semantic.top_k == expected[variant]
            if sampling.stage2 is not None and sampling.stage2.startswith("autoregressive"):
                assert sampling.codes.top_p == 0.8
