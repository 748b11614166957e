"""Compares a sample set with real images: Fréchet and kernel distance, score, precision, recall."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from tessera.config.data import Views
from tessera.config.results import Evaluation
from tessera.data.images import ShardIndex
from tessera.data.views import as_reference
from tessera.io.images import read_adm
from tessera.metrics.extractors import Extractor, classifier_extractor, inception_extractor
from tessera.metrics.fidelity import evaluate_fidelity
from tessera.metrics.names import metric_names
from tessera.stages.job import Job, log, parse_settings, parser, run
from tessera.stages.loading import load_classifier

STAGE = "evaluation"
KEYS = {
    "frechet_distance": "fid",
    "classifier_score": "is",
    "classifier_score_std": "is_std",
    "kernel_distance": "kid",
    "kernel_distance_std": "kid_std",
    "precision": "precision",
    "recall": "recall",
}
"""Names of the computed values → short keys of the card, whatever the extractor."""


def work(job: Job) -> None:
    """Evaluates one sample set."""
    arguments = job.arguments
    settings = job.settings(Evaluation)
    samples_card = job.input("samples", arguments.samples, "samples")
    job.input("shards", arguments.shards, "shards")
    views = as_reference(parse_settings(Views, job.node["inputs"]["views"]))
    index = ShardIndex(arguments.shards.parent / "index.json")
    reference = index.load(settings.split, views).pixels[:, 0]
    images, _ = read_adm(arguments.samples.parent / "samples.npz")
    extractor, kind = open_extractor(job, arguments.extractor)
    found = evaluate_fidelity(
        torch.from_numpy(images).permute(0, 3, 1, 2),
        torch.from_numpy(reference),
        extractor,
        ["isc" if metric == "is" else metric for metric in settings.metrics],
        settings.seed,
        arguments.batch,
        arguments.device,
    )
    names = metric_names(extractor.name)
    metrics = {KEYS[key]: float(value) for key, value in found.items() if key in KEYS}
    sampling = job.node["inputs"]["samplings"]["inputs"]
    results = {
        "extractor": {"name": extractor.name, "kind": kind, "digest": extractor.digest},
        "reference": {
            "split": settings.split,
            "count": len(reference),
            "digest": job.digest("shards"),
        },
        "count": len(images),
        "conditional": samples_card["results"]["conditional"],
        "weights": weights_of(sampling),
        "metrics": metrics,
        "names": {KEYS[key]: name for key, name in names.items() if KEYS[key] in metrics},
    }
    job.finish(arguments.card, [], results)
    for key, name in results["names"].items():
        log.info("%s: %.4g", name, metrics[key])


def open_extractor(job: Job, file: Path) -> tuple[Extractor, str]:
    """The extractor from its card, or from the file of Inception's weights; and its kind."""
    node: dict[str, Any] = job.node["inputs"]["extractor"]
    if node["settings"]["kind"] == "classifier":
        job.input("extractor", file, "extractor")
        classifier = load_classifier(file.parent, job.arguments.device)
        return classifier_extractor(classifier, file.parent.name), "classifier"
    return inception_extractor(file, node["settings"]["sha256"]), "inception"


def weights_of(sampling: dict[str, Any]) -> str:
    """Whether the models that drew the samples hold raw or averaged weights."""
    averaged = [
        node["settings"]["training"]["ema"] is not None
        for name, node in sampling.items()
        if name in ("stage1", "stage2")
    ]
    return "ema" if all(averaged) else "raw" if not any(averaged) else "mixed"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the stage from the command line."""
    arguments = parser(STAGE, __doc__)
    arguments.add_argument("--batch", type=int, default=256, help="images at once")
    arguments.add_argument("--samples", type=Path, required=True, help="card of the sample set")
    arguments.add_argument("--shards", type=Path, required=True, help="card of the shards")
    arguments.add_argument("--extractor", type=Path, required=True, help="card, or weights")
    return run(STAGE, arguments.parse_args(argv), work)


if __name__ == "__main__":
    sys.exit(main())
