"""What one forward pass through a network costs: plain arithmetic on shapes, no network is built.

A multiplication and an addition count as two operations, and only matrix products and convolutions
are counted. All else that a network does is in proportion to the values that it computes.
"""

from dataclasses import dataclass
from functools import reduce

BACKWARD = 3
"""Forward passes that one with its gradient is worth: the gradient takes two, of inputs and
weights."""


@dataclass(frozen=True)
class Pass:
    """One forward pass.

    Attributes:
        operations: floating-point operations of matrix products and convolutions, an image.
        values: activations that are computed, an image.
        kernels: calls into the device, whatever the number of images.
        saved: bytes kept for the gradient in float32, an image.
        saved_half: the same under bfloat16 autocast, which keeps sums and norms in float32.
        alive: bytes of the largest activations that lie beside one another where no gradient is
            asked for, an image, float32.
    """

    operations: float = 0.0
    values: float = 0.0
    kernels: float = 0.0
    saved: float = 0.0
    saved_half: float = 0.0
    alive: float = 0.0

    def __add__(self, other: "Pass") -> "Pass":
        """One after the other."""
        return Pass(
            self.operations + other.operations,
            self.values + other.values,
            self.kernels + other.kernels,
            self.saved + other.saved,
            self.saved_half + other.saved_half,
            max(self.alive, other.alive),
        )


def total(passes: list[Pass]) -> Pass:
    """Passes through the layers of a network, one after the other."""
    return reduce(Pass.__add__, passes, Pass())
