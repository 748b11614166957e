"""docs/imagenet.md and the head of a recipe: what they tell the reader to write works."""

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tessera.config import sources
from tessera.config.load import load
from tessera.config.paths import SPLITS, Paths
from tessera.config.published import IMPORTS
from tessera.config.resolve import node
from tessera.reference.command import parser

REPO = Path(__file__).parents[2]
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", (REPO / "docs/imagenet.md").read_text(), re.M | re.S)
RECIPES = sorted(path.name for path in (REPO / "configs").glob("imagenet-*.yaml"))
RECIPES += ["published-digit.yaml"]
PUBLISHED = REPO / "configs/published-digit.yaml"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configs in a folder of their own, with a file of every format of images beside them."""
    shutil.copy(REPO / "config.yaml", tmp_path)
    shutil.copytree(REPO / "configs", tmp_path / "configs")
    for file in (
        "imagenet/train/n01440764/1.JPEG",
        "imagenet/val/n01440764/2.JPEG",
        "imagenet-wds/imagenet1k-train-0000.tar",
        "imagenet-wds/imagenet1k-validation-00.tar",
        "imagenet-parquet/train-00000-of-00294.parquet",
        "imagenet-parquet/validation-00000-of-00014.parquet",
    ):
        (tmp_path / "datasets" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "datasets" / file).touch()
    monkeypatch.chdir(tmp_path)
    sources.forget()
    return tmp_path


def holds(found: Any, said: Any) -> bool:
    """Whether settings say what a part of a config says."""
    if isinstance(said, dict):
        return all(holds(found[key], value) for key, value in said.items())
    return said == found or (said,) == found


def test_the_page_has_blocks() -> None:
    """Three kinds of images, timm's encoder, and a config of one's own."""
    kinds = [
        entry.get("kind") for b in BLOCKS for entry in yaml.safe_load(b).get("data", {}).values()
    ]
    assert {"folder", "webdataset", "parquet"} <= set(kinds)
    assert len(BLOCKS) == 5


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_each_block_can_be_laid_over_each_recipe(checkout: Path, recipe: str, number: int) -> None:
    """As a second --configfile, and as a file based on the recipe."""
    text = BLOCKS[number].replace("/datasets", str(checkout / "datasets"))
    block = yaml.safe_load(text)
    own_base = block.pop("base", None)
    (checkout / "mine.yaml").write_text(text)
    (checkout / "based.yaml").write_text(text if own_base else f"base: configs/{recipe}\n{text}")
    over = load(["config.yaml", f"configs/{recipe}", "mine.yaml"])
    for config in (over, load(["config.yaml", "based.yaml"])):
        for section, entries in block.items():
            for name, said in entries.items():
                found = getattr(config, section)[name]
                assert holds(found.model_dump(), said)
                if section == "data":
                    assert node(config, section, name)["settings"]["kind"] == found.kind
                    paths = Paths(config)
                    listed = [file for split in SPLITS for file in paths.shards(name, split)]
                    assert bool(listed) == (found.kind == "folder")


def test_the_published_recipe_says_how_its_folders_are_made() -> None:
    """Each by one command, into the folder and for the section that the config names."""
    lines = re.findall(r"^#\s+(tessera import .*)$", PUBLISHED.read_text(), re.M)
    said = {}
    for line in lines:
        arguments = parser().parse_args(shlex.split(line)[2:])
        said[arguments.out] = IMPORTS[arguments.section]
    config = load([REPO / "config.yaml", PUBLISHED])
    named = {
        entry.path: section
        for section in IMPORTS.values()
        for entry in getattr(config, section).values()
    }
    assert said == named


def test_the_overlay_in_the_head_of_the_published_recipe(checkout: Path) -> None:
    """Without the autoregressive stage 2: all else stays."""
    text = re.search(r"^(#   base: .*\n(?:#   .*\n)+)", PUBLISHED.read_text(), re.M)
    assert text is not None
    overlay = "".join(line.removeprefix("#   ") for line in text[1].splitlines(keepends=True))
    (checkout / "mine.yaml").write_text(overlay)
    config = load(["config.yaml", "mine.yaml"])
    assert list(config.stage2) == ["masked_base"]
    assert list(config.samplings) == ["uncond_base_masked", "cond_base_masked", "vq_base"]
    assert config.samplings["cond_base_masked"].semantic.top_k == 300
    assert config.stage2["masked_base"].codebook == "k8192"
