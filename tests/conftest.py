"""What all tests share."""

from pathlib import Path

import pytest

REPO = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def repo() -> Path:
    """The root of the checkout."""
    return REPO


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of reference vectors that the original DiGIT code computed, or a skip."""
    folder = REPO.parent / "shared" / "reference" / "digit-golden"
    if not folder.is_dir():
        pytest.skip("the DiGIT reference vectors (../shared/reference/digit-golden) are not here")
    return folder
