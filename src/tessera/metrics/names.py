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


def metric_names(extractor: str) -> dict[str, str]:
    """Display names of the keys that `compare_features` returns.

    Args:
        extractor: value of the field `extractor` of the result.

    Returns:
        "FID", "IS", "KID", "Precision", "Recall" for Inception; otherwise such as
        "FD (digits-cnn)", "classifier score (digits-cnn)". Larger is better except for the two
        distances.
    """
    if extractor == INCEPTION:
        return dict(_INCEPTION_NAMES)
    return {key: f"{name} ({extractor})" for key, name in _OTHER_NAMES.items()}
