"""Decoders of both stages from checkpoints that fairseq wrote."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from tessera.errors import UserError
from tessera.io.published import read_checkpoint
from tessera.io.weights import save_model
from tessera.models.decoder_config import SIZES
from tessera.models.fairseq_names import config_from_fairseq, from_fairseq
from tessera.models.gpt import GPT
from tessera.models.maskgit import MaskGIT, MaskGITConfig
from tessera.reference.reading import (
    Found,
    Layout,
    build,
    count_of,
    entries,
    floats,
    parameters,
    pick,
)

LAYOUTS: list[Layout] = [("model", ""), (None, "")]
VERSION = "decoder.version"  # fairseq's, of the form of its checkpoints


def read_decoder(
    path: Path,
    section: str,
    *,
    heads: int | None = None,
    length: int = 256,
    prefix_length: int = 256,
    decoder: str | None = None,
) -> Found:
    """A decoder of stage 1 or 2 from a checkpoint.

    Args:
        path: the checkpoint.
        section: "stage1" (also the baseline over VQGAN codes) or "stage2".
        heads: attention heads, where the checkpoint's settings do not tell; None takes those of
            the published size of its width.
        length: codes of an image.
        prefix_length: semantic codes before them, in stage 2.
        decoder: "autoregressive" or "masked", where the checkpoint's settings do not tell.

    Raises:
        UserError: no such decoder is in the file, or a size is not to be found out.
    """
    checkpoint = read_checkpoint(path)
    state = pick(path, checkpoint, LAYOUTS, "decoder.", "DiGIT decoder")
    state = {k: v for k, v in state.items() if k.startswith("decoder.")}
    count_of(path, state, "decoder.layers.")
    prefixed = "decoder.embed_positions_1.weight" in state
    if prefixed != (section == "stage2"):
        raise UserError(
            f"{path} holds a decoder {'with' if prefixed else 'without'} a prefix of semantic "
            f"codes: import it as {'stage2' if prefixed else 'stage1'}"
        )
    said = model_settings(checkpoint)
    lengths = {"length": length} | ({"prefix_length": prefix_length} if prefixed else {})
    _require_positions(path, state, lengths)
    try:
        config = config_from_fairseq(
            state,
            heads=heads_of(path, state, said, heads),
            length=length,
            prefix_length=prefix_length if prefixed else 0,
        )
        renamed = from_fairseq(floats(path, {k: v for k, v in state.items() if k != VERSION}))
    except UserError as error:
        message = str(error)
        raise error if str(path) in message else UserError(f"{path}: {message}") from error
    kind = kind_of(path, said, decoder) if prefixed else "autoregressive"
    facts: dict[str, Any] = {}
    model: GPT | MaskGIT
    if kind == "masked":
        masked = MaskGITConfig(**vars(config))
        model = build(path, lambda: MaskGIT(masked), renamed)
    else:
        model = build(path, lambda: GPT(config), renamed)
    if not prefixed:
        classes = [str(number) for number in range(config.classes)]
        facts = {"vocabulary": config.vocabulary, "classes": classes}
    count = parameters(model)
    described = (
        f"{type(model).__name__}, {config.layers} layers of width {config.width}, "
        f"{config.heads} heads, feed-forward {config.ffn}, {config.norm}-norm, "
        f"{config.vocabulary} codes"
        + (f", prefix of {config.prefix_vocabulary} codes" if prefixed else "")
        + (f", {config.classes} classes" if config.classes else "")
        + f", {count:,} parameters"
    )
    settings: dict[str, Any]
    if prefixed:
        settings = {"codebook": None, "autoencoder": None, "decoder": kind}
    else:
        # Only the baseline over VQGAN codes has its norms before the branches.
        tokenizer = "autoencoder" if config.norm == "pre" else "codebook"
        settings = {tokenizer: None, "class_conditional": config.classes > 0}
    return Found(
        section,
        described,
        {"parameters": count},
        settings,
        lambda folder: save_model(folder, model, model.config, **facts),
    )


def model_settings(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint says of its model: `cfg.model`, or `args` in older ones; may be empty."""
    said = entries(entries(checkpoint.get("cfg")).get("model"))
    return said or entries(checkpoint.get("args"))


def _require_positions(path: Path, state: Mapping[str, Tensor], lengths: dict[str, int]) -> None:
    """Checks the lengths, which no file tells, against the rows of its table of positions.

    Raises:
        UserError: a sequence of that length has more positions.
    """
    table = state.get("decoder.embed_positions.weight")
    if table is None or table.dim() != 2:
        return  # said where the sizes are read
    for name, length in lengths.items():
        most = len(table) - 3 + (name == "prefix_length")  # fairseq's padding, the start symbol
        if length > most:
            raise UserError(
                f"{path} has positions for {most} codes an image, but --{name.replace('_', '-')} "
                f"is {length} (256 unless given): give the number of codes that it was trained with"
            )


def heads_of(
    path: Path, state: Mapping[str, Tensor], said: Mapping[str, Any], given: int | None
) -> int:
    """Attention heads by the checkpoint's settings, else as given, else by the published sizes.

    Raises:
        UserError: nothing tells, or what is given contradicts the checkpoint.
    """
    heads = said.get("decoder_attention_heads")
    if isinstance(heads, int) and not isinstance(heads, bool) and heads > 0:
        if given not in (None, heads):
            raise UserError(
                f"{path} says that its decoder has {heads} attention heads: leave --heads out"
            )
        return heads
    if given is not None:
        return given
    table = state.get("decoder.embed_tokens.weight")
    width = table.shape[-1] if table is not None and table.dim() == 2 else None
    for size in SIZES.values():
        if size["width"] == width:
            return size["heads"]
    raise UserError(
        f"{path} does not say how many attention heads its decoder of width {width} has: "
        "give --heads"
    )


def kind_of(path: Path, said: Mapping[str, Any], given: str | None) -> str:
    """Whether a stage 2 is "autoregressive" or "masked", by its name in the settings or as given.

    Raises:
        UserError: the settings hold no name and none is given, or the two contradict each other.
    """
    names = [said[key] for key in ("_name", "arch") if isinstance(said.get(key), str)]
    if not names and given is None:
        raise UserError(
            f"{path} does not say how its decoder was trained: give --decoder autoregressive or "
            "--decoder masked"
        )
    if not names:
        return str(given)
    kind = "masked" if any("nar" in name.split("_") for name in names) else "autoregressive"
    if given not in (None, kind):
        raise UserError(f"{path} says that its decoder is {kind} ({names[0]}): leave --decoder out")
    return kind
