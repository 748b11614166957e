"""Codebooks: the array that DiGIT publishes, or the centroids in a checkpoint of a stage."""

from pathlib import Path

import torch
from torch import Tensor

from tessera.errors import UserError
from tessera.io.codebooks import read_codebook, write_codebook
from tessera.io.published import read_checkpoint
from tessera.reference.decoders import LAYOUTS, model_settings
from tessera.reference.reading import Found, entries, floats, pick, shape

NORM_GAP = 1e-3  # relative; sums in float32 over the channels are far closer


def read_published_codebook(path: Path) -> Found:
    """Centroids from a .npy [K, d], or from the entry `centroids` [d, K] of a checkpoint.

    Raises:
        UserError: no centroids are in the file, or they are not finite numbers.
    """
    # An array alone tells nothing of the features that it is made of.
    layer: int | None = None
    input_size: int | None = None
    if path.suffix == ".npy":
        centroids = read_codebook(path)
    else:
        checkpoint = read_checkpoint(path)
        state = pick(path, checkpoint, LAYOUTS, "centroids", "codebook")
        shape(path, state, "centroids", 2)
        names = ("centroids", "centroid_norm")
        stored = floats(path, {name: state[name] for name in names if name in state})
        transposed = stored["centroids"].T.contiguous()
        if "centroid_norm" in stored:
            _require_norms(path, transposed, stored["centroid_norm"])
        centroids = transposed.numpy()
        said = entries(model_settings(checkpoint).get("pretrained_enc_config")).get("layer")
        layer = said if isinstance(said, int) else None
        input_size = 224  # of DiGIT's code, whose checkpoints alone hold centroids
    clusters, width = centroids.shape

    def write(folder: Path) -> list[Path]:
        write_codebook(folder / "centroids.npy", centroids)
        return [folder / "centroids.npy"]

    return Found(
        "codebooks",
        f"codebook, {clusters} centroids of width {width}",
        {"clusters": clusters, "width": width},
        {"encoder": None, "layer": layer, "input_size": input_size},
        write,
    )


def _require_norms(path: Path, centroids: Tensor, norms: Tensor) -> None:
    """Checks the squared norms that a checkpoint keeps beside its centroids.

    They tell a damaged file, and centroids that lie the other way round.
    """
    found = centroids.square().sum(1)
    if norms.numel() != len(found) or not torch.allclose(norms.flatten(), found, rtol=NORM_GAP):
        raise UserError(
            f"{path}: the centroids do not have the norms that the file keeps beside them: "
            "get the file anew"
        )
