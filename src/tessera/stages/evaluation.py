"""Compares a sample set with real images: Fréchet and kernel distance, score, precision, recall.

The reference is a split's centre crops, or published statistics of Inception's features. Images
pass in batches; only features are kept, so 50,000 large ones need no more memory than theirs.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from tessera.config.results import Evaluation
from tessera.errors import UserError
from tessera.io.images import adm_shape, iterate_adm
from tessera.metrics.extractors import Features, extract
from tessera.metrics.fidelity import check_request, compare_features, torch_fidelity_words
from tessera.metrics.names import SHORT, metric_names
from tessera.metrics.statistics import Statistics, read_statistics
from tessera.stages.extracting import CentreCrops, Progress, open_extractor
from tessera.stages.job import Job, log, parser, run

STAGE = "evaluation"
KEYS = SHORT | {"classifier_score_std": "is_std", "kernel_distance_std": "kid_std"}
"""Names of the computed values → short keys of the card, whatever the extractor."""

REFERENCES = {"shards": "images", "statistics": "published statistics"}
"""Argument → what it is compared with."""


def work(job: Job) -> None:
    """Evaluates one sample set."""
    arguments = job.arguments
    settings = job.settings(Evaluation)
    samples_card = job.input("samples", arguments.samples, "samples")
    file = arguments.samples.parent / "samples.npz"
    count, *size, _ = adm_shape(file)
    reference = open_reference(job, settings)
    metrics = torch_fidelity_words(settings.metrics)
    crops = None if isinstance(reference, Statistics) else reference
    check_request(metrics, count, crops.count if crops else None)
    if crops:
        crops.require_size(*size)
    extractor, kind = open_extractor(job, arguments.extractor)
    pieces = (torch.from_numpy(p).permute(0, 3, 1, 2) for p in iterate_adm(file, arguments.batch))
    batch, device = arguments.batch, arguments.device
    sampled = extract(extractor, pieces, batch, device, Progress("samples", count))
    compared: Features | Statistics
    if isinstance(reference, Statistics):
        compared = reference
        described: dict[str, Any] = {"kind": "statistics", "digest": reference.digest}
    else:
        shown = Progress("reference images", reference.count)
        compared = reference.ordered(extract(extractor, reference, batch, device, shown))
        described = {
            "kind": "images",
            "split": settings.split,
            "count": len(compared),
            "digest": job.digest("shards"),
        }
    found = compare_features(sampled, compared, extractor, metrics, settings.seed)
    names = metric_names(extractor.name, statistics=crops is None)
    measured = {KEYS[key]: float(value) for key, value in found.items() if key in KEYS}
    results = {
        "extractor": {"name": extractor.name, "kind": kind, "digest": extractor.digest},
        "reference": described,
        "count": count,
        "conditional": samples_card["results"]["conditional"],
        "weights": weights_of(job.node["inputs"]["samplings"]["inputs"]),
        "metrics": measured,
        "names": {KEYS[key]: name for key, name in names.items() if KEYS[key] in measured},
    }
    job.finish(arguments.card, [], results)
    for key, name in results["names"].items():
        log.info("%s: %.4g", name, measured[key])


def open_reference(job: Job, settings: Evaluation) -> CentreCrops | Statistics:
    """What the sample set is compared with: exactly what the settings name.

    Raises:
        UserError: images are given where the settings name statistics, or the other way round.
    """
    arguments = job.arguments
    wanted, given = "statistics", arguments.statistics
    if "views" in job.node["inputs"]:
        wanted, given = "shards", arguments.shards
    if given is None or None not in (arguments.shards, arguments.statistics):
        other = "shards" if wanted == "statistics" else "statistics"
        raise UserError(
            f"the settings of this evaluation compare with {REFERENCES[wanted]}: give --{wanted}, "
            f"and not --{other}"
        )
    if wanted == "shards":
        return CentreCrops(job, arguments.shards, settings.split)
    read = read_statistics(arguments.statistics, job.node["inputs"]["files"])
    job.record({"statistics": read.digest})
    return read


def weights_of(sampling: dict[str, Any]) -> str:
    """Whether the models that drew the samples hold raw, averaged or published weights."""
    kinds = {_weights(node) for name, node in sampling.items() if name in ("stage1", "stage2")}
    return kinds.pop() if len(kinds) == 1 else "mixed"


def _weights(model: dict[str, Any]) -> str:
    if model["stage"] == "published":
        return "published"
    return "raw" if model["settings"]["training"]["ema"] is None else "ema"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the stage from the command line."""
    arguments = parser(STAGE, __doc__)
    arguments.add_argument("--batch", type=int, default=256, help="images at once")
    arguments.add_argument("--samples", type=Path, required=True, help="card of the sample set")
    arguments.add_argument(
        "--shards", type=Path, nargs="?", help="card of the reference images' shards"
    )
    arguments.add_argument(
        "--statistics", type=Path, nargs="?", help="reference statistics, instead"
    )
    arguments.add_argument("--extractor", type=Path, required=True, help="card, or weights")
    return run(STAGE, arguments.parse_args(argv), work)


if __name__ == "__main__":
    sys.exit(main())
