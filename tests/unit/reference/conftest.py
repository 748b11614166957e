"""Files in the exact formats of the published ones, at tiny sizes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tessera.models.vit import VisionTransformer, ViTConfig

State = dict[str, Tensor]


@pytest.fixture
def imported(tmp_path, capsys) -> Callable[..., Path]:
    """Runs `tessera import digit` and gives the folder that it wrote."""
    from tessera.cli import main

    def run(section: str, file: Path, *options: str) -> Path:
        out = tmp_path / "imported"
        status = main(["import", "digit", section, str(file), "--out", str(out), *options])
        assert status == 0, capsys.readouterr().err
        return out

    return run


@pytest.fixture
def refused(tmp_path, capsys) -> Callable[..., str]:
    """Runs an import that must fail, and gives its one sentence; nothing may be left behind."""
    from tessera.cli import main

    def run(section: str, file: Path, *options: str) -> str:
        out = tmp_path / "refused"
        assert main(["import", "digit", section, str(file), "--out", str(out), *options]) == 1
        printed = capsys.readouterr()
        assert not out.exists()
        assert printed.err.startswith("error: ")
        assert printed.err.count("\n") == 1
        return printed.err

    return run


@pytest.fixture
def vit() -> Callable[..., tuple[VisionTransformer, State]]:
    """A small vision transformer and its weights under the published names."""

    def make(**sizes: Any) -> tuple[VisionTransformer, State]:
        torch.manual_seed(0)
        config = ViTConfig(**{"width": 24, "depth": 2, "heads": 3} | sizes)
        model = VisionTransformer(config).eval()
        for parameter in model.parameters():  # no zeros, so that swapped tensors are noticed
            torch.nn.init.normal_(parameter, std=0.1)
        return model.requires_grad_(False), dict(model.state_dict())

    return make


@pytest.fixture
def fairseq() -> Callable[..., dict[str, Any]]:
    """A checkpoint of fairseq: 2 layers of width 8, 10 codes, 6 classes or prefix codes."""

    def make(name: str = "stlm", prefix: bool = False, heads: int = 2) -> dict[str, Any]:
        torch.manual_seed(0)
        width, rows = 8, 15 + (5 + 6 if prefix else 6)
        shapes: dict[str, tuple[int, ...]] = {
            "embed_tokens.weight": (rows, width),
            "embed_positions.weight": (260, width),
            "output_projection.weight": (15, width),
        }
        if prefix:
            shapes |= {
                "embed_positions_1.weight": (260, width),
                "layer_norm.weight": (width,),
                "layer_norm.bias": (width,),
            }
        for layer in (0, 1):
            for part in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"):
                shapes[f"layers.{layer}.{part}.weight"] = (width, width)
                shapes[f"layers.{layer}.{part}.bias"] = (width,)
            for part, shape in {
                "self_attn.out_proj": (width, width),
                "self_attn_layer_norm": (width,),
                "fc1": (12, width),
                "fc2": (width, 12),
                "final_layer_norm": (width,),
            }.items():
                shapes[f"layers.{layer}.{part}.weight"] = shape
                shapes[f"layers.{layer}.{part}.bias"] = shape[:1]
        model = {f"decoder.{k}": torch.randn(shape) for k, shape in shapes.items()}
        model["decoder.version"] = torch.tensor([3.0])
        settings = {"_name": name, "decoder_attention_heads": heads}
        return {
            "args": None,
            "cfg": {"model": settings, "task": {"_name": "image_generation_stage1"}},
            "model": model,
            "last_optimizer_state": None,
        }

    return make
