"""Colours of semantic tokens."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from tessera.report.pictures.token_maps import centroid_colours, token_maps


def test_colours_are_the_principal_components():
    """Each colour is one of scikit-learn's components up to its sign, stretched over its range."""
    draw = np.random.default_rng(0)
    centroids = (draw.normal(size=(200, 6)) * [9, 5, 3, 1, 0.5, 0.1]).astype(np.float32)
    colours = centroid_colours(centroids).astype(float) / 255
    components = PCA(3).fit_transform(centroids)
    for place in range(3):
        low, high = np.percentile(components[:, place], (2, 98))
        expected = ((components[:, place] - low) / (high - low)).clip(0, 1)
        nearest = min(np.abs(colours[:, place] - one).max() for one in (expected, 1 - expected))
        assert nearest < 0.5 / 255 + 1e-3


def test_like_centroids_have_like_colours():
    """Two groups far apart: within a group the colours are nearer than between the groups."""
    draw = np.random.default_rng(1)
    centroids = np.concatenate([draw.normal(size=(20, 8)) * 0.1 + at for at in (-5, 5)])
    red = centroid_colours(centroids.astype(np.float32)).astype(int)[:, 0]
    groups = red[:20], red[20:]
    assert abs(groups[0].mean() - groups[1].mean()) > 150
    assert all(np.ptp(group) < 60 for group in groups)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_a_component_that_does_not_vary_is_grey(scale):
    """Also where there are fewer channels than colours."""
    line = np.linspace(-1, 1, 50, dtype=np.float32)[:, None] * scale
    colours = centroid_colours(np.concatenate([line, line], axis=1) + 3 * scale)
    assert set(colours[:, 1]) == set(colours[:, 2]) == {128}
    assert colours[:, 0].min() == 0
    assert colours[:, 0].max() == 255
    assert (centroid_colours(np.ones((4, 5), np.float32)) == 128).all()


def test_a_token_is_a_pixel():
    """Row by row from the upper left."""
    colours = np.arange(12, dtype=np.uint8).reshape(4, 3)
    maps = token_maps(np.array([[0, 1, 2, 3]], dtype=np.int16), colours)
    assert maps.tolist() == [[[[0, 1, 2], [3, 4, 5]], [[6, 7, 8], [9, 10, 11]]]]
    with pytest.raises(ValueError, match="3 tokens make no square"):
        token_maps(np.zeros((1, 3), np.int64), colours)
