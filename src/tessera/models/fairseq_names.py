"""Published DiGIT weights (a fairseq state-dict) under this project's names.

The differences: other names, q, k and v in three layers, and a version number.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from tessera.errors import UserError
from tessera.models.decoder_config import NUM_SPECIALS
from tessera.models.gpt import GPTConfig

_PREFIX = "decoder."
_TOP = {
    "embed_tokens.weight": "tokens.weight",
    "embed_positions.weight": "positions.weight",
    "embed_positions_1.weight": "prefix_positions.weight",
    "layer_norm.weight": "norm.weight",
    "layer_norm.bias": "norm.bias",
    "output_projection.weight": "output.weight",
}
_LAYER = {
    "self_attn.out_proj": "attention.out",
    "self_attn_layer_norm": "attention_norm",
    "fc1": "feed_forward.up",
    "fc2": "feed_forward.down",
    "final_layer_norm": "feed_forward_norm",
}
_LAYER_KEY = re.compile(r"layers\.(\d+)\.(.+)\.(weight|bias)")
_QKV = re.compile(r"self_attn\.([qkv])_proj")


def from_fairseq(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Translate the ``decoder.*`` entries of a fairseq state-dict.

    Args:
        state: The ``model`` entry of a published checkpoint. What lies outside ``decoder.`` (the
            frozen encoder, the centroids, the VQGAN) is passed over.

    Returns:
        A state-dict that a :class:`GPT` or :class:`MaskGIT` of the right size loads strictly.

    Raises:
        UserError: If there is no decoder, or an entry of it is unknown or incomplete.
    """
    result: dict[str, Tensor] = {}
    parts: dict[str, dict[str, Tensor]] = {}
    for key, value in _decoder(state).items():
        match = _LAYER_KEY.fullmatch(key)
        if key == "version":
            continue
        if key in _TOP:
            result[_TOP[key]] = value
        elif match and match[2] in _LAYER:
            result[f"layers.{match[1]}.{_LAYER[match[2]]}.{match[3]}"] = value
        elif match and (letter := _QKV.fullmatch(match[2])):
            name = f"layers.{match[1]}.attention.qkv.{match[3]}"
            parts.setdefault(name, {})[letter[1]] = value
        else:
            raise UserError(
                f"The checkpoint's entry {_PREFIX}{key} is not one of a DiGIT decoder; "
                "check that the file is a published DiGIT checkpoint."
            )
    for name, part in parts.items():
        if set(part) != set("qkv"):
            raise UserError(
                f"The checkpoint has only {', '.join(sorted(part))} of the q, k and v that make "
                f"{name}; get the file anew."
            )
        result[name] = torch.cat([part[letter] for letter in "qkv"])
    return result


def to_fairseq(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of :func:`from_fairseq`, but for the version number that fairseq adds.

    Args:
        state: The state-dict of a :class:`GPT` or a :class:`MaskGIT`.
    """
    top = {ours: theirs for theirs, ours in _TOP.items()}
    parts = {ours: theirs for theirs, ours in _LAYER.items()}
    result: dict[str, Tensor] = {}
    for key, value in state.items():
        if key in top:
            result[_PREFIX + top[key]] = value
            continue
        _, layer, rest = key.split(".", 2)
        name, kind = rest.rsplit(".", 1)
        if name == "attention.qkv":
            for letter, part in zip("qkv", value.chunk(3), strict=True):
                result[f"{_PREFIX}layers.{layer}.self_attn.{letter}_proj.{kind}"] = part
        else:
            result[f"{_PREFIX}layers.{layer}.{parts[name]}.{kind}"] = value
    return result


def config_from_fairseq(
    state: Mapping[str, Tensor], *, heads: int, length: int, prefix_length: int = 0
) -> GPTConfig:
    """Read the sizes of a published decoder off the shapes of its weights.

    Args:
        state: The ``model`` entry of a published checkpoint.
        heads: Attention heads, which no shape tells.
        length: Codes of an image, which no shape tells either.
        prefix_length: Codes of the prefix, for a stage-2 model.

    Raises:
        UserError: If an entry that tells a size is missing.
    """
    decoder = _decoder(state)
    try:
        rows, width = decoder["embed_tokens.weight"].shape
        symbols = decoder["output_projection.weight"].shape[0]
        positions = decoder["embed_positions.weight"].shape[0]
        ffn = decoder["layers.0.fc1.weight"].shape[0]
    except KeyError as error:
        raise UserError(
            f"The checkpoint has no {_PREFIX}{error.args[0]}; "
            "check that the file is a published DiGIT checkpoint."
        ) from None
    except (ValueError, IndexError):  # tables of other dimensions
        raise UserError(
            "The checkpoint's tables of embeddings and positions are not two-dimensional; "
            "check that the file is a published DiGIT checkpoint."
        ) from None
    prefixed = "embed_positions_1.weight" in decoder
    extra = rows - symbols  # rows that are no output: those of the prefix, or the classes
    return GPTConfig(
        vocabulary=symbols - NUM_SPECIALS,
        length=length,
        classes=0 if prefixed else extra,
        prefix_vocabulary=extra - NUM_SPECIALS if prefixed else 0,
        prefix_length=prefix_length,
        width=width,
        layers=1 + max(int(match[1]) for key in decoder if (match := _LAYER_KEY.fullmatch(key))),
        heads=heads,
        ffn=ffn,
        norm="pre" if "layer_norm.weight" in decoder else "post",
        max_positions=positions - 2,
    )


def _decoder(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    found = {k.removeprefix(_PREFIX): v for k, v in state.items() if k.startswith(_PREFIX)}
    if not found:
        raise UserError(
            f"The checkpoint has no entries that start with {_PREFIX}; "
            "check that the file is a published DiGIT checkpoint."
        )
    return found
