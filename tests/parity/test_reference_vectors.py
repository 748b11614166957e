"""Every quantity of the folder of vectors that the original DiGIT code computed, one test each.

`python -m tests.parity.run FOLDER` prints the same for any folder of the format.
"""

from pathlib import Path

import pytest

from tests.parity import checks  # noqa: F401  (registers the quantities)
from tests.parity.reference_set import ReferenceSet
from tests.parity.registry import Quantity, judge, quantities
from tests.parity.run import unused

FOLDER = Path(__file__).parents[3] / "shared" / "reference" / "digit-golden"
REFERENCE = ReferenceSet(FOLDER)
SLOW = ("over seeds", "to the end")
QUANTITIES = quantities(REFERENCE) if FOLDER.is_dir() else []


@pytest.mark.parametrize(
    "quantity",
    [
        pytest.param(
            quantity,
            id=quantity.name.replace("[", "(").replace("]", ")"),
            marks=[pytest.mark.slow] if any(word in quantity.name for word in SLOW) else [],
        )
        for quantity in QUANTITIES
    ],
)
def test_quantity(golden: Path, quantity: Quantity) -> None:
    """Within its bound, and there."""
    result = judge(REFERENCE, quantity)
    assert result.passed, f"{result.name}: {result.text}"


def test_every_array_is_compared(golden: Path) -> None:
    """Each array of the folder is an input or the expectation of some quantity."""
    reference = ReferenceSet(golden)
    for quantity in quantities(reference):
        for need in quantity.needs:
            reference.mark(need)
    assert unused(reference) == []
