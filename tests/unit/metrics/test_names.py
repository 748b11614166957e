"""Names under which fidelity numbers may be printed."""

import pytest

from tessera.metrics.names import metric_names, reconstruction_name


def test_inception_has_the_known_names() -> None:
    """Over Inception-v3 the numbers are called as in the literature."""
    assert list(metric_names("inception-v3-compat").values()) == [
        "FID",
        "IS",
        "KID",
        "Precision",
        "Recall",
    ]


def test_statistics_are_said_in_the_name() -> None:
    """One extractor over images and over published statistics gives two names of the distance."""
    images = metric_names("inception-v3-compat")
    statistics = metric_names("inception-v3-compat", statistics=True)
    assert statistics["frechet_distance"] == "FID (ADM statistics)" != images["frechet_distance"]
    assert statistics["classifier_score"] == "IS"  # it has no reference


def test_reconstructions() -> None:
    """Over Inception alone it is rFID."""
    assert reconstruction_name("inception-v3-compat") == "rFID"
    assert reconstruction_name("digits-cnn") == "rFD (digits-cnn)"


@pytest.mark.parametrize("extractor", ["digits-cnn", "dinov2"])
def test_others_are_never_called_fid(extractor: str) -> None:
    """Over anything else every name says which extractor, and none says FID, IS or KID."""
    names = metric_names(extractor)
    assert names["frechet_distance"] == f"FD ({extractor})"
    for name in names.values():
        assert extractor in name
        assert not {"FID", "IS", "KID"} & set(name.replace("(", " ").split())
