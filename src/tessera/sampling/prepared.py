"""A model whose weights are laid out for decoding, made once from one that trains no more."""

import copy
from typing import Any, TypeVar

import torch
from torch import nn

from tessera.models.decoder import Decoder
from tessera.nn.packed_linear import PackedLinear, WideLinear

Model = TypeVar("Model", bound=Decoder[Any])


def prepared(model: Model, rows: int, dtype: torch.dtype) -> Model:
    """A copy of a model that decodes faster, and is of no other use.

    It shares what it does not change with the model: do not train that one afterwards. Embeddings
    stay as they are, so that codes and the much fainter positions are added in the precision that
    they were trained in. Logits are float32 in any precision.

    Args:
        model: In eval mode.
        rows: Positions that are fed at once in most calls, such as the images of a decoding step.
        dtype: Precision of weights and of the residual stream.
    """
    # Deep, but for what the copy is told to know already.
    made = copy.deepcopy(model, {id(weight): weight for weight in model.parameters()})
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Linear):
            made.set_submodule(name, PackedLinear(layer, rows, dtype))
        elif isinstance(layer, nn.LayerNorm):
            made.set_submodule(name, copy.deepcopy(layer).to(dtype))
    if dtype != torch.float32:
        made.set_submodule("output", WideLinear(model.output, dtype))
    return made
