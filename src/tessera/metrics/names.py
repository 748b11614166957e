"""Names under which fidelity numbers may be printed.

Only numbers over Inception-v3 are called FID, IS and KID; over any other extractor the name says
which. No torch here: tables and captions import this.
"""

INCEPTION = "inception-v3-compat"

_INCEPTION_NAMES = {
    "frechet_distance": "FID",
    "classifier_score": "IS",
    "kernel_distance": "KID",
    "precision": "Precision",
    "recall": "Recall",
}
_OTHER_NAMES = {
    "frechet_distance": "FD",
    "classifier_score": "classifier score",
    "kernel_distance": "KD",
    "precision": "Precision",
    "recall": "Recall",
}

OVER_STATISTICS = "FID (ADM statistics)"
"""The distance to published statistics, which are of other images, prepared in another way."""


SHORT = {
    "frechet_distance": "fid",
    "classifier_score": "is",
    "kernel_distance": "kid",
    "precision": "precision",
    "recall": "recall",
}
"""Keys that `compare_features` returns → keys of the cards, whatever the extractor."""


def metric_names(extractor: str, statistics: bool = False) -> dict[str, str]:
    """Display names of the keys that `compare_features` returns.

    Args:
        extractor: value of the field `extractor` of the result.
        statistics: whether the reference was published statistics instead of images.

    Returns:
        "FID", "IS", "KID", "Precision", "Recall" for Inception, with "FID (ADM statistics)" for
        the distance to statistics; otherwise such as "FD (digits-cnn)",
        "classifier score (digits-cnn)". Larger is better except for the two distances.
    """
    if extractor == INCEPTION:
        over = {"frechet_distance": OVER_STATISTICS} if statistics else {}
        return _INCEPTION_NAMES | over
    return {key: f"{name} ({extractor})" for key, name in _OTHER_NAMES.items()}


def short_names(extractor: str, statistics: bool = False) -> dict[str, str]:
    """`metric_names` under the keys of the cards."""
    return {SHORT[key]: name for key, name in metric_names(extractor, statistics).items()}


def reconstruction_name(extractor: str) -> str:
    """Name of the distance between images and their reconstructions: "rFID" or "rFD (cnn)"."""
    return f"r{metric_names(extractor)['frechet_distance']}"
