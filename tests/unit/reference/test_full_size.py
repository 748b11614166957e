"""The networks at full size against the original's names, shapes and counts, both ways.

Everything is on the meta device: names and shapes without memory.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tessera.models.decoder_config import SIZES
from tessera.models.fairseq_names import config_from_fairseq, from_fairseq, to_fairseq
from tessera.models.gpt import GPT, GPTConfig
from tessera.models.maskgit import MaskGIT, MaskGITConfig
from tessera.models.vit import DINOV2_SIZES, VisionTransformer
from tessera.models.vqgan import VQGAN, VQGANConfig

LARGE = "large24x1536h16"
STAGE_1 = {"norm": "post", "length": 256, "max_positions": 1024}
STAGE_2 = {"norm": "pre", "length": 256, "max_positions": 1024, "vocabulary": 1024}
PREFIX = {"prefix_length": 256}
# Name in the table: how this project builds the same network, from its own sizes and the paper's.
DECODERS: dict[str, dict[str, Any]] = {
    "stage1 uncond base K=8192": SIZES["base"] | STAGE_1 | {"vocabulary": 8192},
    "stage1 class  base K=8192": SIZES["base"] | STAGE_1 | {"vocabulary": 8192, "classes": 1000},
    "stage2 AR/NAR base K=8192": SIZES["base"] | STAGE_2 | PREFIX | {"prefix_vocabulary": 8192},
    "stage2 VQ only base": SIZES["base"] | STAGE_2,
    f"stage1 uncond {LARGE} K=16384": SIZES["large"] | STAGE_1 | {"vocabulary": 16384},
    f"stage1 class  {LARGE} K=16384": SIZES["large"]
    | STAGE_1
    | {"vocabulary": 16384, "classes": 1000},
    f"stage2 AR/NAR {LARGE} K=16384": SIZES["large"]
    | STAGE_2
    | PREFIX
    | {"prefix_vocabulary": 16384},
    f"stage2 VQ only {LARGE}": SIZES["large"] | STAGE_2,
}
PUBLISHED = {"stage1 uncond base K=8192": 219, f"stage1 uncond {LARGE} K=16384": 732}
"""Millions of parameters that the paper's tables give."""


@pytest.fixture(scope="module")
def table(repo: Path) -> dict[str, Any]:
    """Names, shapes and counts of the original at full size, or a skip."""
    file = repo.parent / "shared" / "reference" / "digit-fullsize.json"
    if not file.is_file():
        pytest.skip("the table of the original (../shared/reference/digit-fullsize.json) is absent")
    return json.loads(file.read_text())


def shapes(state: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in state.items()}


def listed(entry: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(shape) for name, shape in entry["state"].items()}


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def meta(make: Any, config: Any) -> Any:
    with torch.device("meta"):
        return make(config)


def test_every_listed_network_is_checked(table) -> None:
    """All but the sizes that the table only tried ("cand.")."""
    rest = {name for name in table if "cand." not in name} - DECODERS.keys()
    assert rest == {"vqgan", "vit_base", "vit_large"}


@pytest.mark.parametrize("name", DECODERS)
def test_decoders(table, name) -> None:
    """The original's names give our state, ours give the original's, and the counts agree."""
    theirs = listed(table[name])
    config = GPTConfig(**DECODERS[name])
    model = meta(GPT, config)
    ours = model.state_dict()
    # From the original to here; a name that is unknown, or left over, fails.
    state = {f"decoder.{k}": torch.empty(v, device="meta") for k, v in theirs.items()}
    assert shapes(from_fairseq(state)) == shapes(ours)
    sizes = {"heads": config.heads, "length": 256, "prefix_length": config.prefix_length}
    assert config_from_fairseq(state, **sizes) == config
    # From here to the original.
    back = {k.removeprefix("decoder."): v for k, v in shapes(to_fairseq(ours)).items()}
    assert back | {"version": (1,)} == theirs
    assert count(model) == table[name]["params"]
    if name in PUBLISHED:
        assert round(count(model) / 1e6) == PUBLISHED[name]
    if config.prefix_length:
        masked = meta(MaskGIT, MaskGITConfig(**DECODERS[name]))
        assert shapes(masked.state_dict()) == shapes(ours)


@pytest.mark.parametrize(
    ("name", "make", "config"),
    [
        ("vqgan", VQGAN, VQGANConfig()),
        ("vit_base", VisionTransformer, DINOV2_SIZES["dinov2_base"]),
        ("vit_large", VisionTransformer, DINOV2_SIZES["dinov2_large"]),
    ],
)
def test_tokenizers(table, name, make, config) -> None:
    """Their names are the original's."""
    model = meta(make, config)
    assert shapes(model.state_dict()) == listed(table[name])
    assert count(model) == table[name]["params"]
