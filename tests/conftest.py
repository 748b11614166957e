"""What all tests share."""

from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml

REPO = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def repo() -> Path:
    """The root of the checkout."""
    return REPO


@pytest.fixture
def raw(tmp_path: Path) -> dict[str, Any]:
    """The config of tests/workflow as plain maps; its image folder holds one file."""
    config: dict[str, Any] = yaml.safe_load((REPO / "tests/workflow/config.yaml").read_text())
    (tmp_path / "images" / "disc").mkdir(parents=True)
    (tmp_path / "images" / "disc" / "0.png").touch()
    config["data"]["shapes"]["path"] = str(tmp_path / "images")
    return config


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of reference vectors that the original DiGIT code computed, or a skip."""
    folder = REPO.parent / "shared" / "reference" / "digit-golden"
    if not folder.is_dir():
        pytest.skip("the DiGIT reference vectors (../shared/reference/digit-golden) are not here")
    return folder


@pytest.fixture(scope="session")
def inception_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights in the exact file format of torch-fidelity's Inception: names and shapes."""
    import torch
    from torch_fidelity import FeatureExtractorInceptionV3

    torch.manual_seed(0)
    # Without a path it would fetch the published file; what it would load is left out.
    source = "torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url"
    loading = mock.patch.object(FeatureExtractorInceptionV3, "load_state_dict")
    with mock.patch(source, return_value={}), loading:
        network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)  # features of about 1 at any depth
    path: Path = tmp_path_factory.mktemp("inception") / "weights-inception-2015-12-05-6726825d.pth"
    torch.save(network.state_dict(), path)
    return path
