"""Fréchet and kernel distances, classifier score, precision and recall of a set of samples.

The mathematics is torch-fidelity's own; this module computes all metrics from features that are
extracted once, checks the sets and names the results. Its `calculate_metrics` is not used because
that starts four worker processes and a cache in the user's home folder; a test holds both equal.

Sources: FID, Heusel et al., arXiv:1706.08500, eq. 6; inception score, Salimans et al.,
arXiv:1606.03498; KID, Bińkowski et al., arXiv:1801.01401; improved precision and recall,
Kynkäänniemi et al., arXiv:1904.06991. Precision and recall use the SAME extractor as the others
(torch-fidelity alone would take VGG16 for them).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tessera.errors import UserError
from tessera.metrics.extractors import Extractor, Features
from tessera.metrics.library import (
    KEY_METRIC_FID,
    KEY_METRIC_ISC_MEAN,
    KEY_METRIC_ISC_STD,
    KEY_METRIC_KID_MEAN,
    KEY_METRIC_KID_STD,
    KEY_METRIC_PRECISION,
    KEY_METRIC_RECALL,
    fid_features_to_statistics,
    fid_statistics_to_metric,
    isc_features_to_metric,
    kid_features_to_metric,
    prc_features_to_metric,
)
from tessera.metrics.names import INCEPTION
from tessera.metrics.statistics import Statistics


def torch_fidelity_words(metrics: Sequence[str]) -> tuple[str, ...]:
    """The config's metrics in torch-fidelity's words, which this module uses: "isc" for "is"."""
    return tuple("isc" if metric == "is" else metric for metric in metrics)


METRICS = ("fid", "isc", "kid", "prc")
OF_STATISTICS = ("fid", "isc")
"""What needs no more of the reference than mean and covariance of its features."""

SCORE_SPLITS = 10
KERNEL_SUBSETS = 100
KERNEL_SUBSET_SIZE = 1000  # at most; see `kernel_subset_size`
NEIGHBOURS = 3
ROWS = 2000  # of distances at once; with 50,000 images 400 MB
_LEAST = {"fid": 2, "isc": SCORE_SPLITS, "kid": 4, "prc": NEIGHBOURS + 1}


def compare_features(
    samples: Features,
    reference: Features | Statistics,
    extractor: Extractor,
    metrics: Sequence[str] = METRICS,
    seed: int = 0,
) -> dict[str, Any]:
    """The metrics from features; `extract` the reference once to compare many sets with it.

    Args:
        samples: of the sampled images.
        reference: features of the real images, or their statistics, which allow `OF_STATISTICS`
            alone and are Inception's.
        extractor: where the features come from.
        metrics: some of `METRICS`.
        seed: seed of the shuffle before the score's splits and of the kernel's subsets.

    Returns:
        `extractor`, `extractor_digest`, `samples`, `reference`, `seed`, and, as asked for:
        `frechet_distance`; `classifier_score` and `classifier_score_std` (over 10 splits, in
        [1, K]); `kernel_distance` and `kernel_distance_std` (over 100 subsets of
        `kernel_subset_size` images, unbiased, so perhaps negative); `precision` and `recall`
        (3 nearest neighbours, shares in [0, 1]). Keys never say FID: `tessera.metrics.names` gives
        the name that fits the extractor.

    Raises:
        UserError: a set is too small, or a metric is unknown or needs more than statistics.
    """
    count = None if isinstance(reference, Statistics) else len(reference)
    check_request(metrics, len(samples), count)
    result: dict[str, Any] = {
        "extractor": extractor.name,
        "extractor_digest": extractor.digest,
        "samples": len(samples),
        "reference": count,
        "seed": seed,
    }
    if "fid" in metrics:
        result["frechet_distance"] = frechet_distance(samples, reference, extractor)
    if "isc" in metrics:
        value = isc_features_to_metric(samples.logits, splits=SCORE_SPLITS, rng_seed=seed)
        result["classifier_score"] = value[KEY_METRIC_ISC_MEAN]
        result["classifier_score_std"] = value[KEY_METRIC_ISC_STD]
    if isinstance(reference, Statistics):
        return result  # the others were refused above
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
            prc_batch_size=ROWS,
            verbose=False,
        )
        result["precision"] = value[KEY_METRIC_PRECISION]
        result["recall"] = value[KEY_METRIC_RECALL]
    return result


def frechet_distance(
    samples: Features, reference: Features | Statistics, extractor: Extractor
) -> float:
    """The Fréchet distance alone.

    Raises:
        UserError: statistics, which are Inception's, for features of another extractor.
    """
    of_samples = fid_features_to_statistics(samples.features)
    if isinstance(reference, Features):
        of_reference = fid_features_to_statistics(reference.features)
    else:
        if extractor.name != INCEPTION:
            raise UserError(
                f"published statistics are of Inception's features and say nothing about those "
                f"of {extractor.name}: use the Inception extractor, or compare with images"
            )
        # torch-fidelity takes two means of one type: float32 features have a float32 mean.
        of_samples["mu"] = of_samples["mu"].astype(np.float64)
        of_reference = {"mu": reference.mu, "sigma": reference.sigma}
    return float(fid_statistics_to_metric(of_samples, of_reference, verbose=False)[KEY_METRIC_FID])


def kernel_subset_size(samples: int, reference: int) -> int:
    """Images in a subset of the kernel distance: 1000, or half the smaller set if that is less.

    The estimate is unbiased for any size; subsets as large as the set would all be the same and
    their spread, which is reported, 0.
    """
    return min(KERNEL_SUBSET_SIZE, min(samples, reference) // 2)


def check_request(metrics: Sequence[str], samples: int, reference: int | None) -> None:
    """Refuses unknown metrics and sets too small for them.

    Args:
        metrics: what is asked for.
        samples: sampled images.
        reference: reference images; None: statistics of them.

    Raises:
        UserError: with what is wrong.
    """
    unknown = sorted(set(metrics) - set(METRICS))
    if unknown or not metrics:
        named = ", ".join(unknown) or "none at all"
        raise UserError(f"unknown fidelity metrics ({named}): choose from {', '.join(METRICS)}")
    further = [metric for metric in metrics if metric not in OF_STATISTICS]
    if reference is None and further:
        raise UserError(
            f"{further[0]} needs the reference images, not only their statistics: leave it out, "
            "or compare with images"
        )
    for count, what in ((samples, "sampled"), (reference, "reference")):
        if count is None:
            continue
        if count == 0:
            raise UserError(f"there are no {what} images to evaluate: the set is empty")
        for metric in metrics:
            if count < _LEAST[metric] and not (metric == "isc" and what == "reference"):
                raise UserError(
                    f"{metric} needs at least {_LEAST[metric]} {what} images but there are only "
                    f"{count}: give more images or leave the metric out"
                )
