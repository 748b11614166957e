"""Two Gaussian classes on one line, by PCA and by LDA: how often noise lets them be told apart.

The toy behind DiGIT's choice of a latent space (arXiv 2410.12490): PCA, which a linear autoencoder
amounts to, keeps the direction of the largest variance; LDA (Fisher, 1936) keeps the one that tells
the classes apart. The classes are equally frequent and share one covariance; a point on the line is
of the class whose mean, over the training points, is nearer.

Shapes: N points, d dimensions, L noise levels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, erf, radians, sin, sqrt

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

METHODS = ("pca", "lda")
"""In the order of tables and figures."""

TRAINING, UNSEEN = 0, 1
"""Streams of random numbers."""


@dataclass(frozen=True)
class Classes:
    """Two Gaussian classes whose means lie at plus and minus half of `difference`.

    Attributes:
        variances: [d], of each class along each axis.
        difference: [d], the mean of class 1 less that of class 0.
    """

    variances: Floats
    difference: Floats

    def draw(self, samples: int, generator: np.random.Generator) -> tuple[Floats, Labels]:
        """Points of both classes.

        Args:
            samples: points of each class.
            generator: where the random numbers come from.

        Returns:
            Points [2 * samples, d], those of class 0 first, and their classes [2 * samples].
        """
        labels = np.repeat(np.array([0, 1]), samples)
        centred = generator.standard_normal((2 * samples, len(self.variances)))
        means = (labels - 0.5)[:, None] * self.difference
        return centred * np.sqrt(self.variances) + means, labels

    def direction(self, method: str) -> Floats:
        """The unit vector [d] that PCA or LDA finds among infinitely many points."""
        if method == "lda":
            return _unit(self.difference / self.variances, self.difference)
        between = np.outer(self.difference, self.difference) / 4
        return _unit(_widest(np.diag(self.variances) + between), self.difference)

    def expected_accuracy(self, direction: Floats, noise: float) -> float:
        """Share of noisy points whose class is found on a line: Φ(Δ / (2 sqrt(s² + σ²))).

        Args:
            direction: the line's unit vector [d].
            noise: standard deviation of the noise along each axis, σ.
        """
        separation = abs(float(direction @ self.difference))  # Δ
        variance = float(direction**2 @ self.variances)  # s²
        return normal_cdf(separation / (2 * sqrt(variance + noise**2)))


def two_classes(variances: Sequence[float], distance: float, angle: float) -> Classes:
    """Classes whose means lie on a line in the plane of the first two axes.

    Args:
        variances: of each class along each axis, at least two.
        distance: between the means.
        angle: of the line with the first axis, degrees.
    """
    difference = np.zeros(len(variances))
    difference[:2] = distance * cos(radians(angle)), distance * sin(radians(angle))
    return Classes(np.array(variances, float), difference)


def normal_cdf(value: float) -> float:
    """Φ: the share of a standard normal variable below a value."""
    return (1 + erf(value / sqrt(2))) / 2


def pca_direction(points: Floats, labels: Labels) -> Floats:
    """The unit vector [d] of the largest variance; it points from class 0 to class 1.

    Args:
        points: [N, d].
        labels: [N], 0 and 1; they give the sign alone.
    """
    return _unit(_widest(np.cov(points, rowvar=False)), _difference(points, labels))


def lda_direction(points: Floats, labels: Labels) -> Floats:
    """Fisher's direction, the unit vector [d] along Sw^-1 (m1 - m0).

    Args:
        points: [N, d].
        labels: [N], 0 and 1.
    """
    first, second = (np.cov(points[labels == label], rowvar=False) for label in (0, 1))
    difference = _difference(points, labels)
    direction: Floats = np.linalg.solve(first + second, difference)
    return _unit(direction, difference)


def fit_direction(method: str, points: Floats, labels: Labels) -> Floats:
    """The direction [d] of one of `METHODS`."""
    return {"pca": pca_direction, "lda": lda_direction}[method](points, labels)


def fit_threshold(values: Floats, labels: Labels) -> float:
    """The middle between the class means of values [N] on a line; class 1 lies above it."""
    return float(values[labels == 0].mean() + values[labels == 1].mean()) / 2


@dataclass(frozen=True)
class Unseen:
    """Points that nothing was fitted to, and noise for them.

    Attributes:
        points: [N, d].
        labels: [N], 0 and 1.
        noise: [N, d], standard normal; every level scales the same draw, so that levels differ in
            nothing else.
    """

    points: Floats
    labels: Labels
    noise: Floats


def draw_unseen(classes: Classes, samples: int, seed: int) -> Unseen:
    """`samples` points of each class and their noise."""
    draw = generator(seed, UNSEEN)
    points, labels = classes.draw(samples, draw)
    return Unseen(points, labels, draw.standard_normal(points.shape))


def accuracies(
    unseen: Unseen, direction: Floats, threshold: float, levels: Sequence[float]
) -> list[float]:
    """Share of points whose class is found on a line, under noise of each level.

    Args:
        unseen: the points.
        direction: the line's unit vector [d].
        threshold: above it lies class 1.
        levels: standard deviations of the noise along each axis.

    Returns:
        A share in [0, 1] for each level.
    """
    clean, noise = unseen.points @ direction, unseen.noise @ direction
    found = [clean + level * noise > threshold for level in levels]
    return [float(np.mean(guessed == unseen.labels)) for guessed in found]


def generator(seed: int, stream: int) -> np.random.Generator:
    """Random numbers of a seed; two streams of one seed have nothing in common."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, stream])))


def _difference(points: Floats, labels: Labels) -> Floats:
    found: Floats = points[labels == 1].mean(axis=0) - points[labels == 0].mean(axis=0)
    return found


def _widest(covariance: Floats) -> Floats:
    """The eigenvector of the largest eigenvalue."""
    found: Floats = np.linalg.eigh(covariance)[1][:, -1]
    return found


def _unit(vector: Floats, towards: Floats) -> Floats:
    """A vector at length 1, turned so that class 1 lies ahead."""
    sign = 1.0 if vector @ towards >= 0 else -1.0
    unit: Floats = sign * vector / np.linalg.norm(vector)
    return unit
