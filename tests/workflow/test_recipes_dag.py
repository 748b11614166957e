"""The recipes of configs/ as Snakemake sees them: which jobs, and how many."""

import hashlib
import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
import yaml

from tessera.config.jobs import jobs
from tessera.config.load import load
from tessera.config.resolve import settings_text
from tessera.config.schema import STAGE_OF

REPO = Path(__file__).parents[2]
RECIPES = sorted(
    path.name
    for path in (REPO / "configs").glob("*.yaml")
    if path.stem not in ("demo", "imagenet", "imagenet-base", "imagenet-large", "imagenet-shape")
)
TRAININGS = {"encoder", "autoencoder", "extractor", "codebook", "features", "stage1", "stage2"}
SECTIONS = {
    "dinov2-base": "encoders",
    "dinov2-large": "encoders",
    "vqgan": "autoencoders",
    "km-8k": "codebooks",
    "stage1-base-uncond": "stage1",
    "stage1-base-cond": "stage1",
    "vq-base": "stage1",
    "stage2-base-ar": "stage2",
    "stage2-base-nar": "stage2",
}


@pytest.fixture
def recipes(fresh, monkeypatch):
    """The workflow with the recipes, one image, and the records of imported weights."""
    shutil.copytree(REPO / "configs", fresh.folder / "configs")
    for split in ("train", "val"):
        image = fresh.folder / f"data/imagenet/{split}/n01440764/0.JPEG"
        image.parent.mkdir(parents=True)
        image.touch()
    published = fresh.folder / "published"
    for name, section in SECTIONS.items():
        (published / name).mkdir(parents=True)
        record = {"section": section, "source": {"file": name}, "files": {}, "facts": {}}
        (published / name / "published.json").write_text(json.dumps(record))
    inception = published / "weights-inception-2015-12-05-6726825d.pth"
    inception.touch()
    digest = hashlib.sha256(inception.read_bytes()).hexdigest()
    recipe = fresh.folder / "configs" / "imagenet.yaml"
    recipe.write_text(recipe.read_text().replace("6726825d          #", f"{digest}  #"))
    monkeypatch.chdir(fresh.folder)
    return fresh


def counts(jobs: set[str]) -> Counter[str]:
    """Jobs a rule."""
    return Counter(job.partition("/")[0] for job in jobs)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_some_dozens_of_jobs(recipes, name):
    """Not thousands: a job reads many shards, one after the other. The paper is some hundreds.

    They are those that are said of it, published weights, folders read in place and Inception's
    file among them.
    """
    file = recipes.folder / "configs" / name
    found = recipes.jobs([file])
    assert found == {job.label for job in jobs(load([file]))}
    assert 5 < len(found) <= (900 if name == "imagenet-paper.yaml" else 300)
    found = counts(found)
    assert found["shards"] == 1
    if name == "published-digit.yaml":
        assert not TRAININGS & set(found)
        assert found["sampling"] == 5 * 8
        assert found["evaluation"] == 5


def test_recipes_share_what_they_share(recipes):
    """A second recipe trains its own stage 1 alone: all else is there already."""
    configs = recipes.folder / "configs"
    uncond = recipes.jobs([configs / "imagenet-digit-base-uncond.yaml"])
    cond = recipes.jobs([configs / "imagenet-digit-base-cond.yaml"])
    assert "stage1/cond_base" in cond - uncond
    own = {"stage1", "sampling", "samples", "evaluation", "tables", "figures", "index"}
    assert set(counts(cond - uncond)) <= own


def test_recipes_of_one_folder_never_contradict_each_other(recipes):
    """A name that two of them share stands for the same: else each would remake the other's."""
    seen: dict[tuple[str, str, str], str] = {}
    for name in RECIPES:
        config = load([recipes.folder / "configs" / name])
        for section in STAGE_OF:
            for variant in getattr(config, section):
                made = settings_text(config, section, variant)
                assert seen.setdefault((config.results, section, variant), made) == made


def test_published_weights_may_move(fresh, monkeypatch):
    """Another folder with the same content reruns nothing; other content reruns what it must."""
    monkeypatch.chdir(fresh.folder)
    for name, digest in (("here", "1"), ("there", "1"), ("other", "2")):
        (fresh.folder / name).mkdir()
        record = {"section": "autoencoders", "files": {"model.safetensors": digest * 64}}
        (fresh.folder / name / "published.json").write_text(
            json.dumps(record | {"source": {"file": "a"}, "facts": {}})
        )
    text = fresh.config.read_text()

    def use(name: str) -> None:
        raw = yaml.safe_load(text)
        trained = raw["autoencoders"]["vqgan"]
        raw["autoencoders"] = {
            "vqgan": {"kind": "published", "path": name},
            "shapes": trained | {"views": "shapes"},
        }
        fresh.config.write_text(yaml.safe_dump(raw, sort_keys=False))

    use("here")
    done = fresh.run()
    assert done.returncode == 0, done.stdout
    assert fresh.jobs() == set()
    use("there")
    assert fresh.jobs() == set()
    use("other")
    assert {"published_autoencoder/vqgan", "tokens/codes/train/0000-of-0002"} <= fresh.jobs()
