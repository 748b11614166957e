"""What bfloat16 does to the features of an encoder and to the tokens of a codebook.

Runs the encoder of a codebook over validation images twice, in float32 and in bfloat16, and prints
as JSON how far the features part and which share of the tokens changes. Reads what the workflow has
made (`results/`), and writes nothing.

    python benchmarks/precision.py k128 --configfile config.yaml [--images 1000] [--device cuda]
"""

import argparse
import json
import platform
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tessera.config.data import Views
from tessera.config.lineage import reading_node, reading_of_codebook
from tessera.config.load import load
from tessera.config.paths import Paths
from tessera.config.resolve import node
from tessera.data.images import ShardIndex
from tessera.errors import UserError
from tessera.io.codebooks import read_codebook
from tessera.quantize.assign import nearest
from tessera.stages.job import device_name
from tessera.stages.tokenizing import open_featurizer

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95)
CHUNK = 4096


def compare(exact: Tensor, rounded: Tensor, centroids: Tensor) -> dict[str, Tensor]:
    """Error and tokens of each feature.

    Args:
        exact: float32 features [N, d].
        rounded: the same features in another arithmetic, float32 [N, d].
        centroids: float32 [K, d], K > 1.

    Returns:
        Each [N]: `largest` and `mean` absolute error over channels, `cosine` of the two features,
        `changed` (bool: the nearest centroid is another one), and `margin`, the squared distance
        of the exact feature to its second centroid minus that to its first.
    """
    error = (exact - rounded).abs()
    margins = []
    norms = centroids.square().sum(1)
    for f in exact.split(CHUNK):
        distances = f.square().sum(1, keepdim=True) - 2 * f @ centroids.T + norms
        two = distances.topk(2, largest=False).values
        margins.append(two[:, 1] - two[:, 0])
    return {
        "largest": error.amax(1),
        "mean": error.mean(1),
        "cosine": F.cosine_similarity(exact, rounded, dim=1),
        "changed": nearest(exact, centroids) != nearest(rounded, centroids),
        "margin": torch.cat(margins),
    }


def summarise(found: dict[str, Tensor]) -> dict[str, Any]:
    """The figures of all features together; see `compare`."""
    changed, margin = found["changed"], found["margin"]
    return {
        "tokens": len(changed),
        "largest_absolute_error": float(found["largest"].max()),
        "mean_absolute_error": float(found["mean"].mean()),
        "mean_cosine": float(found["cosine"].mean()),
        "least_cosine": float(found["cosine"].min()),
        "changed_tokens": int(changed.sum()),
        "changed_share": float(changed.float().mean()),
        "margin_quantiles": quantiles(margin),
        "margin_quantiles_of_changed": quantiles(margin[changed]),
    }


def quantiles(values: Tensor) -> dict[str, float]:
    """The quantiles of values [N]; none of an empty set."""
    ordered = values.sort().values
    if not len(ordered):
        return {}
    return {
        f"{q:g}": float(ordered[min(int(q * len(ordered)), len(ordered) - 1)]) for q in QUANTILES
    }


def pixels(index: ShardIndex, views: Views, images: int, batch: int) -> Iterator[Tensor]:
    """Centre crops of the first validation images, float [B, 3, H, W] in [0, 1]."""
    left = images
    for piece in index.stream("validation", views, batch):
        taken = torch.from_numpy(piece.pixels[:left, 0]).float() / 255
        yield taken
        left -= len(taken)
        if not left:
            return


def measure(
    reading: dict[str, Any], encoder: Path, codebook: Path, batches: Iterator[Tensor], device: str
) -> dict[str, Any]:
    """The figures of one encoder and codebook over some images.

    Args:
        reading: the node that says how the features are read.
        encoder: folder of the encoder.
        codebook: file of the centroids.
        batches: float images [B, 3, H, W] in [0, 1].
        device: where the encoder runs.

    Raises:
        UserError: a file is absent or damaged, or there is no image.
    """
    precisions = ("float32", "bfloat16")
    # The encoder is loaded twice: the two do not share a thing, as in two runs.
    exact, rounded = (
        open_featurizer(
            reading | {"settings": reading["settings"] | {"precision": name}}, encoder, device
        )
        for name in precisions
    )
    centroids = torch.from_numpy(read_codebook(codebook)).to(device)
    pieces: dict[str, list[Tensor]] = {}
    for images in batches:
        features = (exact(images).flatten(0, 1), rounded(images).flatten(0, 1))
        for name, values in compare(*features, centroids).items():
            pieces.setdefault(name, []).append(values.cpu())
    if not pieces:
        raise UserError("there is no validation image: check the data set")
    return summarise({name: torch.cat(values) for name, values in pieces.items()})


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the figures as JSON; returns 1 where the user has to mend something."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("codebook", help="name of a codebook of the config")
    parser.add_argument("--configfile", type=Path, nargs="+", default=[Path("config.yaml")])
    parser.add_argument("--images", type=int, default=1000, help="validation images (default 1000)")
    parser.add_argument("--batch", type=int, default=64, help="images at once (default 64)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--views", help="name of the views; default: those of the features")
    given = parser.parse_args(argv)
    try:
        report = _report(given)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(report, indent=2))
    return 0


def _report(given: argparse.Namespace) -> dict[str, Any]:
    config = load(given.configfile)
    if given.codebook not in config.codebooks:
        raise UserError(
            f"{given.codebook!r} is no codebook of the config: choose one of "
            f"{sorted(config.codebooks)}"
        )
    paths, reading = Paths(config), reading_of_codebook(config, given.codebook)
    views = given.views or getattr(reading, "views", None)
    if views not in config.views:
        raise UserError(
            f"--views names {views!r}: choose one of {sorted(config.views)} (the features of a "
            "published codebook have none of their own)"
        )
    chosen = config.views[views]
    index = ShardIndex(Path(paths.folder("data", chosen.data)) / "index.json")
    figures = measure(
        reading_node(node(config, "codebooks", given.codebook)),
        Path(paths.folder("encoders", reading.encoder)),
        Path(paths.folder("codebooks", given.codebook)) / "centroids.npy",
        pixels(index, chosen, given.images, given.batch),
        given.device,
    )
    return {
        "codebook": given.codebook,
        "encoder": reading.encoder,
        "views": views,
        "device": device_name(given.device),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "timm": version("timm"),
        },
        **figures,
    }


if __name__ == "__main__":
    sys.exit(main())
