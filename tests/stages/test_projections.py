"""PCA against LDA as a stage: the card's numbers, from the points beside it."""

import numpy as np
import pytest
from scipy.stats import norm


def test_the_first_seed_from_the_points_on_disk(pipeline, tmp_path):
    """With one seed, the accuracies are those of the stored points, counted here."""
    changed = pipeline.changed({"projections.toy.seeds": [1]})
    results = changed.run("projections", "toy", tmp_path)["results"]
    with np.load(changed.card("projections", "toy", tmp_path).parent / "points.npz") as archive:
        points, labels, noise = (archive[name] for name in ("points", "labels", "noise"))
    assert points.shape == noise.shape == (400, 2)
    assert {row["noise_std"] for row in results["rows"]} == {0.0, 2.0}
    for row in results["rows"]:
        fitted = results["directions"][row["projection"]]
        direction, threshold = np.array(fitted["direction"]), fitted["threshold"]
        right = 0
        for point, shift, label in zip(points, noise, labels, strict=True):
            place = (point + row["noise_std"] * shift) @ direction
            right += (place > threshold) == label
        assert row["accuracy_mean"] == pytest.approx(right / 400)
        assert row["accuracy_std"] == 0


def test_mean_and_spread_over_seeds(pipeline, tmp_path):
    """Of two runs with one seed each."""
    both = pipeline.read("projections", "toy")["results"]["rows"]
    single = []
    for seed in (0, 1):
        changed = pipeline.changed({"projections.toy.seeds": [seed]})
        single.append(changed.run("projections", "toy", tmp_path / str(seed))["results"]["rows"])
    for row, *ones in zip(both, *single, strict=True):
        values = [one["accuracy_mean"] for one in ones]
        assert row["accuracy_mean"] == pytest.approx(np.mean(values))
        assert row["accuracy_std"] == pytest.approx(np.std(values, ddof=1))


def test_what_is_expected(pipeline):
    """LDA by the formula of the default classes: variances 9 and 1, means 4 apart at 75 degrees."""
    rows = pipeline.read("projections", "toy")["results"]["rows"]
    difference = 4 * np.array([np.cos(np.radians(75)), np.sin(np.radians(75))])
    weights = difference / np.array([9, 1])
    for row in rows:
        if row["projection"] == "lda":
            variance = weights**2 @ (np.array([9, 1]) + row["noise_std"] ** 2)
            expected = norm.cdf(weights @ difference / 2 / np.sqrt(variance))
            assert row["expected_accuracy"] == pytest.approx(expected)
    by = {(row["projection"], row["noise_std"]): row["accuracy_mean"] for row in rows}
    for level in (0.0, 2.0):
        assert by["lda", level] > by["pca", level] + 0.1
