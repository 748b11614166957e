"""PCA against LDA on two Gaussian classes: accuracy on one line under growing noise.

Writes `points.npz` for the figure, the unseen points of the first seed: `points` float64 [N, d],
`labels` int64 [N], their classes, and `noise` float64 [N, d], their noise before it is scaled.
"""

import sys
from collections.abc import Sequence

import numpy as np

from tessera.config.illustrations import Projections
from tessera.io.files import whole_file
from tessera.metrics.projections import (
    METHODS,
    TRAINING,
    accuracies,
    draw_unseen,
    fit_direction,
    fit_threshold,
    generator,
    two_classes,
)
from tessera.stages.job import Job, log, parser, run

STAGE = "projections"


def work(job: Job) -> None:
    """Fits both directions and measures them."""
    settings = job.settings(Projections)
    classes = two_classes(settings.variances, settings.distance, settings.angle)
    points, labels = classes.draw(settings.samples, generator(settings.seed, TRAINING))
    sets = [draw_unseen(classes, settings.samples, seed) for seed in settings.seeds]
    directions, rows = {}, []
    for method in METHODS:
        direction = fit_direction(method, points, labels)
        threshold = fit_threshold(points @ direction, labels)
        ideal = classes.direction(method)
        directions[method] = {
            "direction": direction.tolist(),
            "threshold": threshold,
            "expected_direction": ideal.tolist(),
        }
        found = [accuracies(unseen, direction, threshold, settings.noise) for unseen in sets]
        for level, measured in zip(settings.noise, np.transpose(found), strict=True):
            mean, expected = float(measured.mean()), classes.expected_accuracy(ideal, level)
            row = {
                "projection": method,
                "noise_std": level,
                "accuracy_mean": mean,
                # Of a sample (n - 1); a single seed has none to tell of.
                "accuracy_std": float(measured.std(ddof=1)) if len(measured) > 1 else 0.0,
                "expected_accuracy": expected,
            }
            rows.append(row)
            log.info(
                "%s under noise of %g: %.1f %% of the classes found, %.1f %% expected",
                method.upper(), level, 100 * mean, 100 * expected,
            )  # fmt: skip
    file = job.arguments.card.parent / "points.npz"
    with whole_file(file) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **vars(sets[0]))
    results = {
        "samples": settings.samples,
        "dimensions": len(settings.variances),
        "seeds": list(settings.seeds),
        "difference": classes.difference.tolist(),
        "directions": directions,
        "rows": rows,
    }
    job.finish(job.arguments.card, [file], results)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the stage from the command line."""
    return run(STAGE, parser(STAGE, __doc__).parse_args(argv), work, computes=False)


if __name__ == "__main__":
    sys.exit(main())
