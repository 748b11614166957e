"""Equal settings make equal results, another seed others."""

import pytest

TRAININGS = [
    ("encoders", "vit", "training.seed"),
    ("autoencoders", "vqgan", "training.seed"),
    ("extractors", "cnn", "seed"),
    ("stage1", "cond", "training.seed"),
    ("stage1", "uncond", "training.seed"),
    ("stage2", "ar", "training.seed"),
    ("stage2", "nar", "training.seed"),
]
OTHERS = [
    ("data", "shapes", "seed", {}),
    ("features", "vit", "seed", {}),
    ("codebooks", "k8", "seed", {}),
    ("samplings", "cond_ar", "seed", {}),
    ("samplings", "uncond_nar", "seed", {}),
    ("evaluations", "shapes", "seed", {"each": "cond_ar"}),
    ("projections", "toy", "seed", {}),
    ("patches", "semantic", "seed", {}),
]
UNSEEDED = [
    ("tokens", "semantic", {"split": "train"}),
    ("tokens", "codes", {"split": "validation"}),
    ("samples", "cond_ar", {}),
    ("neighbours", "shapes", {"each": "cond_ar"}),
    ("reconstructions", "vqgan", {}),
    ("stabilities", "noise", {}),
    ("probes", "linear", {"each": "uncond"}),  # 12 images hardly tell two seeds apart
]


def digest_of(card: dict) -> str:
    """The digest of what a stage made; the settings are no part of it."""
    assert len(card["digest"]) == 64
    return card["digest"]


@pytest.mark.parametrize(("section", "name", "seed"), TRAININGS)
def test_a_training(pipeline, tmp_path, section, name, seed):
    """Two trainings of one seed are equal bit for bit, whatever they log; another seed differs."""
    first = pipeline.read(section, name)
    again = pipeline.run(section, name, tmp_path / "again", log_every=3, checkpoint_every=5)
    assert digest_of(again) == digest_of(first)
    other = pipeline.changed({f"{section}.{name}.{seed}": 1}).run(section, name, tmp_path / "other")
    assert digest_of(other) != digest_of(first)
    assert first["run"]["resumed_at"] == again["run"]["resumed_at"] == 0


@pytest.mark.parametrize(("section", "name", "seed", "which"), OTHERS)
def test_another_stage(pipeline, tmp_path, section, name, seed, which):
    """As of the trainings."""
    first = digest_of(pipeline.read(section, name, **which))
    assert digest_of(pipeline.run(section, name, tmp_path / "again", **which)) == first
    changed = pipeline.changed({f"{section}.{name}.{seed}": 99})
    assert digest_of(changed.run(section, name, tmp_path / "other", **which)) != first


@pytest.mark.parametrize(("section", "name", "which"), UNSEEDED)
def test_a_stage_without_a_seed(pipeline, tmp_path, section, name, which):
    """Run again it makes the same."""
    again = pipeline.run(section, name, tmp_path, **which)
    assert digest_of(again) == digest_of(pipeline.read(section, name, **which))
