"""Featurizers and tokenizers of either kind, from the cards of what they are made of."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tessera.config.lineage import reading_node
from tessera.config.tokenizers import Features, PublishedCodebook, Reading
from tessera.errors import UserError
from tessera.io.files import read_json
from tessera.stages.featurizing import (
    Featurizer,
    Tokenizer,
    codebook_tokenizer,
    products_in_bfloat16,
    unit,
)
from tessera.stages.job import Job, parse_settings
from tessera.stages.loading import load_centroids, load_encoder, load_vqgan


def open_featurizer(node: dict[str, Any], folder: Path, device: str) -> Featurizer:
    """A frozen encoder as a features variant, or a published codebook, reads it.

    Args:
        node: the node of that variant.
        folder: where the encoder lies.
        device: where it runs.
    """
    kind = Features if node["stage"] == "features" else PublishedCodebook
    settings: Reading = parse_settings(kind, node)
    encoder = load_encoder(folder, device)
    bfloat16 = settings.precision == "bfloat16"
    if bfloat16:
        products_in_bfloat16(encoder)
    return Featurizer(
        encoder,
        device,
        layer=settings.layer,
        final_norm=settings.final_norm,
        input_size=settings.input_size,
        bfloat16=bfloat16,
    )


def vqgan_tokenizer(folder: Path, device: str) -> tuple[Tokenizer, int, tuple[int, int], int]:
    """VQGAN codes: the nearest code of each latent.

    Returns:
        The tokenizer, its vocabulary, its grid and the side of its images.
    """
    model = load_vqgan(folder, device)
    side = model.config.grid

    @torch.inference_mode()
    def tokenize(images: Tensor) -> tuple[Tensor, Tensor]:
        latents = model.encode(unit(images.to(device)))
        return model.quantize(latents), latents.flatten(2).transpose(1, 2)

    return tokenize, model.config.codes, (side, side), model.config.resolution


def open_codebook(
    job: Job, node: dict[str, Any], files: list[Path], name: str
) -> tuple[Tokenizer, int, Featurizer]:
    """A codebook's tokenizer from the cards of the codebook and of its encoder.

    Args:
        job: the running job, which records the inputs.
        node: the codebook's node.
        files: cards in any order; those of other tokenizers may be among them.
        name: under which the inputs are recorded.

    Returns:
        The tokenizer, its vocabulary, and the featurizer under it.

    Raises:
        UserError: a file is missing.
    """
    reading = reading_node(node)
    encoder = find_card(job, files, reading["inputs"]["encoder"], f"{name}/encoder")
    card = find_card(job, files, node, f"{name}/codebook")
    device = job.arguments.device
    featurizer = open_featurizer(reading, encoder.parent, device)
    centroids = load_centroids(card.parent, featurizer.width, device)
    wanted = node["settings"].get("clusters", len(centroids))
    if len(centroids) != wanted:
        raise UserError(
            f"{card.parent} holds {len(centroids)} centroids, the config says {wanted}: "
            "run the stage `codebook` again"
        )
    return codebook_tokenizer(featurizer, centroids), len(centroids), featurizer


def find_card(job: Job, files: list[Path], node: dict[str, Any], name: str) -> Path:
    """The card among `files` that a job with this node wrote; recorded as an input.

    Raises:
        UserError: none of them is.
    """
    for file in files:
        if file.suffix == ".json" and read_json(file).get("node") == node:
            job.input(name, file, node["stage"])
            return file
    raise UserError(
        f"none of {', '.join(map(str, files))} is the card of the {node['stage']} that the "
        "settings name: give it, or run its stage again"
    )
