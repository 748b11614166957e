"""What is compared with a folder of reference vectors: one `Quantity` for each printed line.

A source is a function from the folder to the quantities that it holds; nothing is computed before
a quantity is measured. Sizes come from the folder alone.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.parity.reference_set import ReferenceSet

FEATURES = LOGITS = PIXELS = 1e-4
LOSS = 1e-5
EXACT = 0.0


@dataclass(frozen=True)
class Measured:
    """How far a value is from the stored one; `text` says it for readers."""

    error: float
    text: str


@dataclass(frozen=True)
class Quantity:
    """One comparison.

    Attributes:
        name: what is compared.
        needs: files, and arrays as `file.npz:array` or `manifest.json:key/key`, that it reads.
        bound: the largest error that passes; 0 means equality.
        measure: computes it.
    """

    name: str
    needs: tuple[str, ...]
    bound: float
    measure: Callable[[], Measured]


@dataclass(frozen=True)
class Result:
    """A measured quantity; `passed` is None where the folder does not hold it."""

    name: str
    passed: bool | None
    text: str


Source = Callable[[ReferenceSet], Iterator[Quantity]]
SOURCES: list[Source] = []


def source(function: Source) -> Source:
    """Registers a function from the folder to its quantities."""
    SOURCES.append(function)
    return function


def quantities(reference: ReferenceSet) -> list[Quantity]:
    """All quantities that a folder may hold, those that it lacks among them."""
    return list(itertools.chain.from_iterable(make(reference) for make in SOURCES))


def judge(reference: ReferenceSet, quantity: Quantity) -> Result:
    """Measures one quantity; a crash is a failure with a reason."""
    missing = [need for need in quantity.needs if not reference.has(need)]
    if missing:
        return Result(quantity.name, None, f"absent ({missing[0]})")
    for need in quantity.needs:
        reference.mark(need)
    try:
        with torch.inference_mode(False):
            found = quantity.measure()
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0]
        return Result(quantity.name, False, f"{type(error).__name__}: {reason}")
    passed = bool(found.error <= quantity.bound)  # false for NaN
    bound = "exact" if quantity.bound == EXACT else f"<= {quantity.bound:.0e}"
    return Result(quantity.name, passed, f"{found.text} (bound: {bound})")


def array(value: Any) -> np.ndarray:
    """A tensor, array or number as a numpy array."""
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)


def require_shape(found: np.ndarray, expected: np.ndarray) -> None:
    """Raises unless both have one shape."""
    if found.shape != expected.shape:
        raise ValueError(f"the shape is {found.shape} where {expected.shape} is stored")


def gap(found: Any, expected: Any, note: str = "") -> Measured:
    """The largest absolute difference."""
    a, b = array(found), array(expected)
    require_shape(a, b)
    error = float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max(initial=0.0))
    return Measured(error, f"{error:.1e}{note}")


def relative(found: Any, expected: Any, note: str = "") -> Measured:
    """The largest difference over the size of what is stored."""
    a, b = array(found).astype(np.float64), array(expected).astype(np.float64)
    require_shape(a, b)
    error = float((np.abs(a - b) / np.maximum(np.abs(b), 1e-30)).max(initial=0.0))
    return Measured(error, f"{error:.1e} relative{note}")


def same(found: Any, expected: Any, note: str = "") -> Measured:
    """How many values differ."""
    a, b = array(found), array(expected)
    require_shape(a, b)
    count = int((a != b).sum())
    if a.size == 1:
        text = f"{a.item()} for {b.item()}"
    else:
        text = f"{count} of {a.size} differ" if count else f"all {a.size} equal"
    return Measured(float(count), text + note)


def same_text(found: object, expected: object) -> Measured:
    """Whether two values are equal; both are told where they are not."""
    if found == expected:
        return Measured(0.0, "equal")
    return Measured(math.inf, f"{str(found)[:80]!r} where {str(expected)[:80]!r} is stored")


def strides(length: int, stored: int) -> list[int]:
    """Every step that leaves `stored` of `length` entries; shapes tell no more than that."""
    found = [step for step in range(1, length + 1) if -(-length // step) == stored]
    if not found:
        raise ValueError(f"no step leaves {stored} of {length} entries")
    return found


def thinned(found: Any, expected: Any, note: str = "") -> Measured:
    """The largest difference where only every n-th entry of some axes is stored.

    All axes that were thinned are assumed to have one step each; of the steps that give the
    stored shape the one that fits best counts, and wrong values fit none.
    """
    a, b = array(found), array(expected)
    if a.ndim != b.ndim:
        require_shape(a, b)
    options = [strides(n, m) for n, m in zip(a.shape, b.shape, strict=True)]
    best = min(
        (gap(a[tuple(slice(None, None, s) for s in steps)], b, note) for steps in
         itertools.islice(itertools.product(*options), 256)),
        key=lambda measured: measured.error if measured.error == measured.error else math.inf,
    )  # fmt: skip
    return best
