"""FID and IS of samples in memory, beside the bare Inception forward and beside PNG files."""

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from benchmarks.harness import Figure, Report, Timing, main, time_side_by_side
from benchmarks.samples import SIDE, random_weights, smooth_images

IMAGES = {False: 32, True: 50_000}
BATCH = {False: 16, True: 256}
DISTINCT = 512
"""Different images; a set is made of them over and over, so that 9.8 GB need not be drawn."""
FILES = {False: 16, True: 512}
"""Images that are written as PNG and read again."""
AFTER = 10_000
"""Images whose features are compared on a processor: enough to span their space."""
SECONDS, TARGET = 60.0, 1.2
WAYS = {
    "bare": "the same network's bare forward",
    "theirs": "torch-fidelity's bare forward",
    "files": "PNG files, written and read, then torch-fidelity's network",
}
"""What else is timed."""
LEFT_OUT = "all of it: torch-fidelity, whose Inception it is, is not installed"


def measure(device: str, full: bool) -> Report:
    """Evaluation of a sample set beside its limits."""
    images, batch = IMAGES[full], BATCH[full]
    sizes = {"images": images, "batch": batch, "side": SIDE}
    if find_spec("torch_fidelity") is None:
        return Report(benchmark="evaluation", sizes=sizes, figures=[], left_out=[LEFT_OUT])
    with tempfile.TemporaryDirectory() as folder:
        weights = random_weights(Path(folder) / "weights.pth")
        work = Works(weights, Path(folder), device, batch)
        figures = (on_a_gpu if full else on_a_processor)(work, images, FILES[full])
    return Report(benchmark="evaluation", sizes=sizes, figures=figures)


class Works:
    """What is timed.

    Args:
        weights: of Inception.
        folder: for PNG files.
        device: where Inception runs.
        batch: images at once.
    """

    def __init__(self, weights: Path, folder: Path, device: str, batch: int) -> None:
        from torch_fidelity import FeatureExtractorInceptionV3

        from tessera.metrics.extractors import inception_extractor

        self.folder, self.device, self.batch = folder, device, batch
        self.extractor = inception_extractor(weights)
        self.theirs = FeatureExtractorInceptionV3(
            "theirs", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(weights)
        ).to(device)
        self.pixels = smooth_images(DISTINCT)

    def pieces(self, images: int) -> Iterator[NDArray[np.uint8]]:
        """The set batch by batch, [B, H, W, 3], as the file of a sample set is read."""
        for start in range(0, images, self.batch):
            places = np.arange(start, min(start + self.batch, images)) % len(self.pixels)
            yield self.pixels[places]

    def features(self, images: int) -> Any:
        """Ours: all features of a set that comes in pieces."""
        from tessera.metrics.extractors import extract

        pieces = (torch.from_numpy(piece).permute(0, 3, 1, 2) for piece in self.pieces(images))
        return extract(self.extractor, pieces, self.batch, self.device)

    def metrics(self, features: Any) -> dict[str, Any]:
        """Ours: FID to statistics, and IS."""
        from tessera.metrics.fidelity import compare_features
        from tessera.metrics.statistics import WIDTH, Statistics

        reference = Statistics(np.zeros(WIDTH), np.eye(WIDTH), "")
        return compare_features(features, reference, self.extractor, ["fid", "isc"])

    def bare(self, images: int, network: torch.nn.Module) -> Callable[[], None]:
        """A network's forward on batches that lie on its device already, and nothing else."""
        whole, rest = divmod(images, self.batch)
        first = torch.from_numpy(next(self.pieces(self.batch))).permute(0, 3, 1, 2)
        first = first.to(self.device)

        @torch.no_grad()
        def work() -> None:
            for count in [self.batch] * whole + [rest] * bool(rest):
                network(first[:count])

        return work

    def files(self, images: int) -> Callable[[], Tensor]:
        """The usual way: PNG files, written, read again, and put through the plain network."""

        @torch.no_grad()
        def work() -> Tensor:
            names: list[Path] = []
            for piece in self.pieces(images):
                for pixels in piece:
                    names.append(self.folder / f"{len(names)}.png")
                    Image.fromarray(pixels).save(names[-1])
            made = []
            for start in range(0, images, self.batch):
                some = names[start : start + self.batch]
                read = np.stack([np.asarray(Image.open(name)) for name in some])
                batch = torch.from_numpy(read).permute(0, 3, 1, 2).to(self.device)
                made.append(self.theirs(batch)[0].cpu())
            return torch.cat(made)

        return work


def on_a_processor(work: Works, images: int, files: int) -> list[Figure]:
    """Extraction beside the bare forward; what comes after it is timed by itself."""
    timed = time_side_by_side(
        {
            "ours": lambda: work.features(images),
            "bare": work.bare(images, work.extractor.network),
            "theirs": work.bare(images, work.theirs),
            "files": work.files(files),
        },
        work.device,
        repeats=3,
    )
    few = work.features(work.batch)
    random = (torch.rand(AFTER, kind.shape[1]) for kind in (few.features, few.logits))
    many = type(few)(*random)
    metrics = time_side_by_side({"": lambda: work.metrics(many)}, work.device, 1)[""]
    after = Figure(
        name=f"FID and IS after the features of {AFTER:,} images", unit="s",
        against="those features at this rate", other=timed["ours"].median / images * AFTER,
        bound="at most", **metrics.taken(),
    )  # fmt: skip
    return [*beside(timed, images, files, TARGET), after]


def on_a_gpu(work: Works, images: int, files: int) -> list[Figure]:
    """FID and IS of a full set, once; and, with fewer images, what else there is."""
    few = 8 * work.batch
    timed = time_side_by_side(
        {
            "ours": lambda: work.features(few),
            "bare": work.bare(few, work.extractor.network),
            "files": work.files(files),
        },
        work.device,
        repeats=2,
    )
    whole = time_side_by_side(
        {"": lambda: work.metrics(work.features(images))}, work.device, 1, warm=0
    )[""]
    note = "to statistics; the metrics, which the processor computes, included"
    once = Figure(
        name=f"FID and IS of {images:,} images", unit="s", against=f"{SECONDS:g} s", other=SECONDS,
        target=1.0, bound="at most", note=note, **whole.taken(),
    )  # fmt: skip
    return [once, *beside(timed, few, files, None)]


def beside(
    timed: Mapping[str, Timing], images: int, files: int, target: float | None
) -> list[Figure]:
    """Seconds an image, beside those of each other way that was timed.

    Args:
        timed: "ours" and others, by name.
        images: that each went through, but for "files".
        files: images that went through files.
        target: for the two forwards.
    """
    ours, figures = timed["ours"], []
    for name in WAYS.keys() & timed.keys():
        count = files if name == "files" else images
        figures.append(
            Figure(
                name=f"features of samples in memory, beside {WAYS[name]}",
                unit="s/image",
                against=WAYS[name],
                other=timed[name].median / count,
                target=None if name == "files" else target,
                bound="at most",
                **ours.taken() | {"value": ours.median / images},
            )
        )
    return sorted(figures, key=lambda figure: figure.name)


if __name__ == "__main__":
    sys.exit(main(measure))
