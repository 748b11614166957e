"""What is used of torch-fidelity, imported without torch's compiler.

The library imports torchvision for networks that nobody uses here, and that the compiler.
"""

from tessera.uncompiled import deferred_compiler

with deferred_compiler():
    from torch_fidelity import (
        KEY_METRIC_FID,
        KEY_METRIC_ISC_MEAN,
        KEY_METRIC_ISC_STD,
        KEY_METRIC_KID_MEAN,
        KEY_METRIC_KID_STD,
        KEY_METRIC_PRECISION,
        KEY_METRIC_RECALL,
        FeatureExtractorBase,
        FeatureExtractorInceptionV3,
    )
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_isc import isc_features_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric
    from torch_fidelity.metric_prc import prc_features_to_metric

__all__ = [
    "KEY_METRIC_FID",
    "KEY_METRIC_ISC_MEAN",
    "KEY_METRIC_ISC_STD",
    "KEY_METRIC_KID_MEAN",
    "KEY_METRIC_KID_STD",
    "KEY_METRIC_PRECISION",
    "KEY_METRIC_RECALL",
    "FeatureExtractorBase",
    "FeatureExtractorInceptionV3",
    "fid_features_to_statistics",
    "fid_statistics_to_metric",
    "isc_features_to_metric",
    "kid_features_to_metric",
    "prc_features_to_metric",
]
