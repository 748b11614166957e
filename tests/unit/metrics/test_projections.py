"""PCA against LDA, against scikit-learn, scipy and the formulas written out."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from tessera.metrics.projections import (
    METHODS,
    Unseen,
    accuracies,
    draw_unseen,
    fit_direction,
    fit_threshold,
    generator,
    lda_direction,
    normal_cdf,
    pca_direction,
    two_classes,
)

WIDE = ((9.0, 1.0), 4.0, 75.0)
MANY = ((9.0, 1.0, 0.25, 4.0, 2.0), 3.0, 30.0)


def drawn(settings, samples: int = 500):
    return two_classes(*settings).draw(samples, generator(3, 0))


def test_points_are_of_the_classes_asked_for():
    """Means, variances and counts, within what chance allows."""
    classes = two_classes(*MANY)
    points, labels = classes.draw(50_000, generator(0, 0))
    assert np.bincount(labels).tolist() == [50_000, 50_000]
    for label, sign in ((0, -0.5), (1, 0.5)):
        own = points[labels == label]
        assert own.mean(axis=0) == pytest.approx(sign * classes.difference, abs=0.07)
        assert own.var(axis=0) == pytest.approx(np.array(MANY[0]), rel=0.03)
    assert np.linalg.norm(classes.difference) == pytest.approx(3)
    assert classes.difference[1] / classes.difference[0] == pytest.approx(np.tan(np.pi / 6))
    assert not classes.difference[2:].any()


@pytest.mark.parametrize("settings", [WIDE, MANY])
def test_pca_is_that_of_scikit_learn(settings):
    """Up to its sign, which says nothing; ours points from class 0 to class 1."""
    points, labels = drawn(settings)
    direction = pca_direction(points, labels)
    theirs = PCA(n_components=1).fit(points).components_[0]
    assert abs(direction @ theirs) == pytest.approx(1, abs=1e-12)
    values = points @ direction
    assert values[labels == 1].mean() >= values[labels == 0].mean()


@pytest.mark.parametrize("settings", [WIDE, MANY])
def test_lda_is_that_of_scikit_learn_and_of_fisher(settings):
    """Sw^-1 (m1 - m0), its scatter summed point by point."""
    points, labels = drawn(settings)
    direction = lda_direction(points, labels)
    theirs = LinearDiscriminantAnalysis(solver="lsqr").fit(points, labels).coef_[0]
    assert direction == pytest.approx(theirs / np.linalg.norm(theirs), abs=1e-9)
    means = [points[labels == label].mean(axis=0) for label in (0, 1)]
    scatter = np.zeros((points.shape[1],) * 2)
    for point, label in zip(points, labels, strict=True):
        scatter += np.outer(point - means[label], point - means[label])
    fisher = np.linalg.inv(scatter) @ (means[1] - means[0])
    assert direction == pytest.approx(fisher / np.linalg.norm(fisher), abs=1e-9)


@pytest.mark.parametrize("settings", [WIDE, MANY])
@pytest.mark.parametrize("method", METHODS)
def test_many_points_lead_to_the_expected_direction(settings, method):
    """The one that is computed without points."""
    classes = two_classes(*settings)
    points, labels = classes.draw(200_000, generator(1, 0))
    found = fit_direction(method, points, labels)
    assert found == pytest.approx(classes.direction(method), abs=0.01)


def test_directions_at_a_right_angle():
    """The means differ where the variance is small: PCA is of no use, LDA all there is."""
    classes = two_classes((4.0, 1.0), 2.0, 90.0)
    assert abs(classes.direction("pca")) == pytest.approx([1, 0], abs=1e-12)
    assert classes.direction("lda") == pytest.approx([0, 1], abs=1e-12)
    assert classes.expected_accuracy(np.array([1.0, 0.0]), 3.0) == pytest.approx(0.5)
    found = classes.expected_accuracy(np.array([0.0, 1.0]), 0.0)
    assert found == pytest.approx(0.841344746)  # the normal distribution below one deviation


def test_the_same_direction_where_variance_and_means_agree():
    """At an angle of 0 both keep the first axis."""
    classes = two_classes((4.0, 1.0), 2.0, 0.0)
    for method in METHODS:
        assert classes.direction(method) == pytest.approx([1, 0], abs=1e-12)


def test_the_normal_distribution():
    """Against scipy's."""
    values = np.linspace(-5, 5, 41)
    assert [normal_cdf(value) for value in values] == pytest.approx(norm.cdf(values), abs=1e-15)


@pytest.mark.parametrize("settings", [WIDE, MANY])
@pytest.mark.parametrize("method", METHODS)
def test_accuracy_is_the_closed_form(settings, method):
    """Φ(Δ / (2 sqrt(s² + σ²))), within four standard errors of 400,000 points."""
    classes = two_classes(*settings)
    direction, levels = classes.direction(method), [0.0, 1.0, 3.0]
    unseen = draw_unseen(classes, 200_000, 5)
    found = accuracies(unseen, direction, 0.0, levels)
    covariance = np.diag(settings[0])
    for level, share in zip(levels, found, strict=True):
        deviation = np.sqrt(direction @ covariance @ direction + level**2)
        expected = norm.cdf(abs(direction @ classes.difference) / (2 * deviation))
        assert classes.expected_accuracy(direction, level) == pytest.approx(expected, abs=1e-12)
        assert share == pytest.approx(expected, abs=4 * 0.5 / np.sqrt(400_000))


def test_accuracies_by_hand():
    """Four points on a line, of which noise turns one."""
    points = np.array([[-2.0, 9.0], [-1.0, 9.0], [1.0, 9.0], [2.0, 9.0]])
    noise = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 5.0], [1.0, 0.0]])
    unseen = Unseen(points, np.array([0, 0, 1, 1]), noise)
    assert accuracies(unseen, np.array([1.0, 0.0]), 0.0, [0, 1.5, 2.5]) == [1.0, 0.75, 0.5]
    assert fit_threshold(np.array([0.0, 2.0, 5.0, 9.0]), np.array([0, 0, 1, 1])) == 4.0


def test_streams_of_one_seed_differ():
    """Points that are measured are none of those that were fitted to."""
    classes = two_classes(*WIDE)
    unseen = draw_unseen(classes, 10, 0)
    assert not np.allclose(unseen.points, classes.draw(10, generator(0, 0))[0])
    assert not np.allclose(unseen.noise, unseen.points)
    assert np.array_equal(unseen.points, draw_unseen(classes, 10, 0).points)
    assert not np.allclose(unseen.points, draw_unseen(classes, 10, 1).points)
