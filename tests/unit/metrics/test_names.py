"""Names under which fidelity numbers may be printed."""

import pytest

from tessera.metrics.names import metric_names


def test_inception_has_the_known_names() -> None:
    """Over Inception-v3 the numbers are called as in the literature."""
    assert list(metric_names("inception-v3-compat").values()) == [
        "FID",
        "IS",
        "KID",
        "Precision",
        "Recall",
    ]


@pytest.mark.parametrize("extractor", ["digits-cnn", "dinov2"])
def test_others_are_never_called_fid(extractor: str) -> None:
    """Over anything else every name says which extractor, and none says FID, IS or KID."""
    names = metric_names(extractor)
    assert names["frechet_distance"] == f"FD ({extractor})"
    for name in names.values():
        assert extractor in name
        assert not {"FID", "IS", "KID"} & set(name.replace("(", " ").split())
