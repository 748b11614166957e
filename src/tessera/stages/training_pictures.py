"""What TensorBoard shows of a training beside its losses: pictures, of the same seed each time.

A picture reads the model and draws from generators of its own, so that a training with pictures
gives the weights of one without. The tokenizer that turns codes into pixels or colours is made
before the token sets; it is read where it lies, and where it does not the training goes on without.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tessera.config.lineage import drawn_node, draws_semantic
from tessera.config.results import MaskedSampling
from tessera.data.images import spread
from tessera.data.tokens import TokenSet
from tessera.errors import UserError
from tessera.io.cards import read_card
from tessera.io.codebooks import read_codebook
from tessera.models.gpt import GPT
from tessera.models.maskgit import MaskGIT
from tessera.models.vqgan import VQGAN
from tessera.report.pictures.grids import class_rows, grid
from tessera.report.pictures.token_maps import centroid_colours, token_maps
from tessera.sampling.autoregressive import sample_autoregressive
from tessera.sampling.masked import noise_shape, sample_masked
from tessera.sampling.noise import uniforms
from tessera.stages.job import Job, log
from tessera.stages.loading import load_vqgan

Pixels = NDArray[np.uint8]
Show = Callable[[nn.Module], dict[str, Pixels]]
"""Model in eval mode → name → picture, uint8 [H, W, 3]."""

COLUMNS = 8
PAIRS = 2 * COLUMNS
"""Images that are shown beside what the model makes of them."""

CLASSES, PER_CLASS = 10, 4
"""Rows and columns of what a class-conditional model draws."""

SEED = 0
AT_ONCE = 2 * 256 * 256
"""Pixels that an autoencoder paints at once: few, since a training needs the memory."""


def add_pictures(made: argparse.ArgumentParser, tokenizer: bool = True) -> None:
    """Adds the arguments of trainings that show pictures; none of them changes the result."""
    made.add_argument(
        "--pictures-every", type=int, default=500,
        help="updates between two pictures for TensorBoard, beside that of the end; 0: none at all",
    )  # fmt: skip
    if tokenizer:
        made.add_argument(
            "--tokenizer", type=Path, metavar="CARD",
            help="card of the tokenizer of the drawn codes, for the pictures; without it: none",
        )  # fmt: skip


def of_stage1(job: Job, validation: TokenSet) -> Show | None:
    """Samples: painted, a row a class, or as maps of tokens below maps of real images."""
    folder = _tokenizer(job)
    if folder is None:
        return None
    if draws_semantic(job.node):
        return maps(read_codebook(folder / "centroids.npy"), validation)
    return samples(load_vqgan(folder, job.arguments.device), len(validation.classes))


def of_stage2(job: Job, semantic: TokenSet, codes: TokenSet) -> Show | None:
    """What is drawn for the tokens of validation images, below the images' own codes."""
    folder = _tokenizer(job)
    if folder is None:
        return None
    return pairs(load_vqgan(folder, job.arguments.device), semantic, codes)


def of_autoencoder(job: Job, images: Tensor) -> Show | None:
    """Reconstructions below their images, uint8 [N, 3, H, W]."""
    if not job.arguments.pictures_every:
        return None
    originals = images[torch.from_numpy(spread(len(images), PAIRS))]

    def show(model: nn.Module) -> dict[str, Pixels]:
        assert isinstance(model, VQGAN)
        given = originals.to(model.quantize.embedding.weight.device).float() / 255
        pieces = given.split(_most(model))
        codes = torch.cat([model.quantize(model.encode(some)) for some in pieces])
        return {
            "originals_above_reconstructions": _alternate(_last(originals), paint(model, codes))
        }

    return show


def samples(vqgan: VQGAN, classes: int) -> Show:
    """What a stage 1 over VQGAN codes draws: a row a class, if it is told one."""

    def show(model: nn.Module) -> dict[str, Pixels]:
        assert isinstance(model, GPT)
        if not model.config.classes:
            codes = draw(model, range(PAIRS))
            return {"samples": grid(paint(vqgan, codes), COLUMNS)}
        shown = spread(classes, CLASSES)
        labels = torch.from_numpy(shown.repeat(PER_CLASS))
        painted = paint(vqgan, draw(model, range(len(labels)), labels))
        return {
            "samples_a_row_a_class": class_rows(painted, labels.numpy(), list(shown), PER_CLASS)
        }

    return show


def maps(centroids: NDArray[np.float32], validation: TokenSet) -> Show:
    """Maps of real tokens, above those of tokens that are drawn (for the same classes)."""
    colours = centroid_colours(centroids)
    chosen = torch.from_numpy(spread(len(validation), PAIRS))
    real = token_maps(validation.codes[chosen, 0].long().cpu().numpy(), colours)

    def show(model: nn.Module) -> dict[str, Pixels]:
        assert isinstance(model, GPT)
        labels = validation.labels[chosen.to(validation.labels.device)]
        drawn = draw(model, range(len(chosen)), labels if model.config.classes else None)
        made = token_maps(drawn.cpu().numpy(), colours)
        return {"token_maps_real_above_drawn": _alternate(real, made)}

    return show


def pairs(vqgan: VQGAN, semantic: TokenSet, codes: TokenSet) -> Show:
    """Images painted from their own codes, above those painted from codes that are drawn."""
    chosen = torch.from_numpy(spread(len(codes), PAIRS))
    prefix = semantic.codes[chosen, 0].long()
    own: list[Pixels] = []

    def show(model: nn.Module) -> dict[str, Pixels]:
        if not own:  # painted once, when a first picture is due
            own.append(paint(vqgan, codes.codes[chosen, 0].long()))
        drawn = draw(model, range(len(chosen)), prefix=prefix)
        return {"own_codes_above_drawn": _alternate(own[0], paint(vqgan, drawn))}

    return show


def draw(
    model: nn.Module, ids: Sequence[int], labels: Tensor | None = None, prefix: Tensor | None = None
) -> Tensor:
    """Codes long [n, L] of a model's own distribution, by numbers that never change."""
    device = next(model.parameters()).device
    labels, prefix = (None if it is None else it.to(device) for it in (labels, prefix))
    if isinstance(model, MaskGIT):
        how = MaskedSampling()
        noise = uniforms(SEED, "pictures", ids, noise_shape(model.config.length, how.steps))
        return sample_masked(model, noise, labels, prefix, **how.model_dump())
    assert isinstance(model, GPT)
    noise = uniforms(SEED, "pictures", ids, (model.config.length,))
    return sample_autoregressive(model, noise, labels, prefix)


def paint(vqgan: VQGAN, codes: Tensor) -> Pixels:
    """The images of codes [n, L], uint8 [n, H, W, 3]."""
    codes = codes.to(vqgan.quantize.embedding.weight.device)
    with torch.inference_mode():
        return _last(vqgan.paint(codes, _most(vqgan)))


def _most(vqgan: VQGAN) -> int:
    return max(1, AT_ONCE // vqgan.config.resolution**2)


def _last(images: Tensor) -> Pixels:
    """Images [n, 3, H, W] with their colours last."""
    array: Pixels = images.permute(0, 2, 3, 1).cpu().numpy()
    return array


def _alternate(above: Pixels, below: Pixels) -> Pixels:
    """A row of these images above a row of those, and so on; white where a last row ends early."""
    columns = min(COLUMNS, len(above))
    white = np.full((-len(above) % columns, *above.shape[1:]), 255, np.uint8)
    above, below = (np.concatenate([some, white]) for some in (above, below))
    starts = range(0, len(above), columns)
    rows = [some[start : start + columns] for start in starts for some in (above, below)]
    return grid(np.concatenate(rows), columns)


def _tokenizer(job: Job) -> Path | None:
    """The folder of the tokenizer of what the model draws; None, with a reason in the log."""
    given: Path | None = job.arguments.tokenizer
    if not job.arguments.pictures_every:
        return None
    try:
        if given is None:
            raise UserError("no --tokenizer is given")
        if read_card(given)["node"] != drawn_node(job.node):
            raise UserError(f"{given} is not the card of the tokenizer of the drawn codes")
    except UserError as error:
        log.info("TensorBoard gets no pictures: %s", error)
        return None
    return given.parent
