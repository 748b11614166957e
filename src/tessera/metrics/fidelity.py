"""Fréchet and kernel distances, classifier score, precision and recall of a set of samples.

The mathematics is torch-fidelity's own; this module extracts features once for all metrics,
checks the sets and names the results. Its `calculate_metrics` is not used because that starts
four worker processes and a cache in the user's home folder; a test holds both equal.

Sources: FID, Heusel et al., arXiv:1706.08500, eq. 6; inception score, Salimans et al.,
arXiv:1606.03498; KID, Bińkowski et al., arXiv:1801.01401; improved precision and recall,
Kynkäänniemi et al., arXiv:1904.06991. Precision and recall use the SAME extractor as the others
(torch-fidelity alone would take VGG16 for them).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch_fidelity import (
    KEY_METRIC_FID,
    KEY_METRIC_ISC_MEAN,
    KEY_METRIC_ISC_STD,
    KEY_METRIC_KID_MEAN,
    KEY_METRIC_KID_STD,
    KEY_METRIC_PRECISION,
    KEY_METRIC_RECALL,
)
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from tessera.errors import UserError
from tessera.metrics.extractors import Extractor, Features, extract

METRICS = ("fid", "isc", "kid", "prc")
SCORE_SPLITS = 10
KERNEL_SUBSETS = 100
KERNEL_SUBSET_SIZE = 1000  # at most; see `kernel_subset_size`
NEIGHBOURS = 3
_LEAST = {"fid": 2, "isc": SCORE_SPLITS, "kid": 4, "prc": NEIGHBOURS + 1}


def evaluate_fidelity(
    samples: Tensor,
    reference: Tensor,
    extractor: Extractor,
    metrics: Sequence[str] = METRICS,
    seed: int = 0,
    batch: int = 128,
    device: torch.device | str = "cpu",
) -> dict[str, Any]:
    """Compares sampled with real images.

    Args:
        samples: uint8 [N, 3, H, W].
        reference: uint8 [M, 3, H, W].
        extractor: where the features come from.
        metrics: some of `METRICS`.
        seed: seed of the shuffle before the score's splits and of the kernel's subsets.
        batch: images a forward pass.
        device: where the extractor runs.

    Returns:
        As `compare_features`.

    Raises:
        UserError: a set is empty or too small, sizes differ, or a metric is unknown.
    """
    if samples.shape[1:] != reference.shape[1:] and len(samples) and len(reference):
        raise UserError(
            f"samples are {_size(samples)} but the reference images {_size(reference)}: "
            "bring both to one size"
        )
    check_request(metrics, len(samples), len(reference))
    return compare_features(
        extract(extractor, samples, batch, device),
        extract(extractor, reference, batch, device),
        extractor,
        metrics,
        seed,
    )


def compare_features(
    samples: Features,
    reference: Features,
    extractor: Extractor,
    metrics: Sequence[str] = METRICS,
    seed: int = 0,
) -> dict[str, Any]:
    """The metrics from features; `extract` the reference once to compare many sets with it.

    Returns:
        `extractor`, `extractor_digest`, `samples`, `reference`, `seed`, and, as asked for:
        `frechet_distance`; `classifier_score` and `classifier_score_std` (over 10 splits, in
        [1, K]); `kernel_distance` and `kernel_distance_std` (over 100 subsets of
        `kernel_subset_size` images, unbiased, so perhaps negative); `precision` and `recall`
        (3 nearest neighbours, shares in [0, 1]). Keys never say FID: `tessera.metrics.names` gives
        the name that fits the extractor.

    Raises:
        UserError: a set is too small, or a metric is unknown.
    """
    check_request(metrics, len(samples), len(reference))
    result: dict[str, Any] = {
        "extractor": extractor.name,
        "extractor_digest": extractor.digest,
        "samples": len(samples),
        "reference": len(reference),
        "seed": seed,
    }
    if "fid" in metrics:
        statistics = [fid_features_to_statistics(s.features) for s in (samples, reference)]
        value = fid_statistics_to_metric(*statistics, verbose=False)
        result["frechet_distance"] = value[KEY_METRIC_FID]
    if "isc" in metrics:
        value = isc_features_to_metric(samples.logits, splits=SCORE_SPLITS, rng_seed=seed)
        result["classifier_score"] = value[KEY_METRIC_ISC_MEAN]
        result["classifier_score_std"] = value[KEY_METRIC_ISC_STD]
    if "kid" in metrics:
        size = kernel_subset_size(len(samples), len(reference))
        value = kid_features_to_metric(
            samples.features,
            reference.features,
            kid_subsets=KERNEL_SUBSETS,
            kid_subset_size=size,
            rng_seed=seed,
            verbose=False,
        )
        result["kernel_distance"] = value[KEY_METRIC_KID_MEAN]
        result["kernel_distance_std"] = value[KEY_METRIC_KID_STD]
        result["kernel_subset_size"] = size
    if "prc" in metrics:
        value = prc_features_to_metric(
            samples.features,
            reference.features,
            prc_neighborhood=NEIGHBOURS,
            save_cpu_ram=True,  # rows at a time: the full distance matrix of 50,000 takes 10 GB
            verbose=False,
        )
        result["precision"] = value[KEY_METRIC_PRECISION]
        result["recall"] = value[KEY_METRIC_RECALL]
    return result


def kernel_subset_size(samples: int, reference: int) -> int:
    """Images in a subset of the kernel distance: 1000, or half the smaller set if that is less.

    The estimate is unbiased for any size; subsets as large as the set would all be the same and
    their spread, which is reported, 0.
    """
    return min(KERNEL_SUBSET_SIZE, min(samples, reference) // 2)


def check_request(metrics: Sequence[str], samples: int, reference: int) -> None:
    """Refuses unknown metrics and sets too small for them.

    Raises:
        UserError: with what is wrong.
    """
    unknown = sorted(set(metrics) - set(METRICS))
    if unknown or not metrics:
        named = ", ".join(unknown) or "none at all"
        raise UserError(f"unknown fidelity metrics ({named}): choose from {', '.join(METRICS)}")
    for count, what in ((samples, "sampled"), (reference, "reference")):
        if count == 0:
            raise UserError(f"there are no {what} images to evaluate: the set is empty")
        for metric in metrics:
            if count < _LEAST[metric] and not (metric == "isc" and what == "reference"):
                raise UserError(
                    f"{metric} needs at least {_LEAST[metric]} {what} images but there are only "
                    f"{count}: give more images or leave the metric out"
                )


def _size(images: Tensor) -> str:
    """Shape of one image in words."""
    return "x".join(str(side) for side in images.shape[1:])
