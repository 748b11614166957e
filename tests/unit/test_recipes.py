"""The recipes in configs/: they are valid, and their models are the original's in size."""

import json
from collections import Counter
from pathlib import Path

import pytest
import torch

from tessera.config.canonical import canonical_json
from tessera.config.jobs import jobs
from tessera.config.load import load
from tessera.config.schema import Config
from tessera.models.gpt import GPT
from tessera.models.maskgit import MaskGIT, MaskGITConfig
from tessera.report.outputs import (
    FIGURES,
    SWEPT_FILTERS,
    TABLES,
    figure_names,
    table_names,
)
from tessera.stages import stage1, stage2

REPO = Path(__file__).parents[2]
CONFIGS = sorted(path.name for path in (REPO / "configs").glob("*.yaml") if path.stem != "demo")
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


def made_by(config: Config) -> set[tuple[str, str]]:
    """All jobs of variants: what each writes, of what."""
    planned = jobs(config, strict=False)
    return {(job.card, canonical_json(job.node)) for job in planned if job.section}


def test_the_demo_is_the_main_part_of_the_default_experiment() -> None:
    """Few enough for five minutes, and none of them is made again for the paper."""
    demo = load([REPO / "config.yaml", REPO / "configs" / "demo.yaml"])
    assert Counter(job.stage for job in jobs(demo)) == {
        "shards": 1,
        "encoder": 1,
        "features": 1,
        "codebook": 1,
        "autoencoder": 1,
        "tokens": 4,
        "usage": 2,
        "stage1": 4,
        "stage2": 2,
        "sampling": 6,
        "samples": 6,
        "extractor": 1,
        "evaluation": 6,
        "reconstruction": 1,
        "probe": 2,
        "stability": 1,
        "tables": 1,
        "figures": 1,
        "index": 1,
    }
    assert not demo.points
    assert made_by(demo) < made_by(load([REPO / "config.yaml"]))


def test_the_default_experiment_is_the_whole_paper() -> None:
    """Every table and figure, and each sweep of the sampling over one stage alone."""
    config = load([REPO / "config.yaml"])
    assert table_names(config) == list(TABLES)
    assert figure_names(config) == list(FIGURES)
    varied = {
        name: set(point.settings)
        for name, point in config.points["samplings"].items()
        if set(point.settings) != {"seed"}
    }
    assert set.union(*varied.values()) == set(SWEPT_FILTERS)
    for name, settings in varied.items():
        sampling = config.samplings[name]
        assert (sampling.stage1, sampling.stage2) == ("unconditional", "autoregressive")
        assert sampling.count == 1000
        if "codes.top_k" in settings:
            assert sampling.codes.top_p is None  # it would win


def test_the_paper_on_imagenet_is_made_of_the_recipes() -> None:
    """Whatever one of them makes is made once, in the same place, of the same settings."""
    paper = recipe("imagenet-paper")
    made = made_by(paper)
    for name in ("digit-base-uncond", "digit-base-cond", "digit-large-uncond", "digit-large-cond",
                 "vq-base"):  # fmt: skip
        single = recipe(f"imagenet-{name}")
        assert paper.results == single.results
        assert made_by(single) < made
    clusters = {
        paper.codebooks[paper.tokens[probe.tokens].codebook].clusters
        for name, probe in paper.probes.items()
        if name.startswith("linear_k") or name == "linear_base"
    }
    assert clusters == {4096, 8192, 16384}
    assert table_names(paper) == list(TABLES)
    assert figure_names(paper) == list(FIGURES)
    for sampling in paper.samplings.values():
        assert sampling.count == 50_000


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
