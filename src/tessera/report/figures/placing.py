"""Where the names of crowded points go: near their points, beside each other, inside the axes."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """A rectangle with sides along the axes, such as a name's."""

    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: "Box") -> float:
        """The area that two boxes share."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(0.0, width) * max(0.0, height)

    @property
    def size(self) -> float:
        """Its area."""
        return (self.right - self.left) * (self.top - self.bottom)

    def outside(self, other: "Box") -> float:
        """The area that lies outside of `other`."""
        return self.size - self.overlap(other)


@dataclass(frozen=True)
class Disc:
    """A point as it is drawn."""

    x: float
    y: float
    radius: float

    @property
    def box(self) -> Box:
        """The box around it."""
        r = self.radius
        return Box(self.x - r, self.y - r, self.x + r, self.y + r)

    def distance(self, box: Box) -> float:
        """How far a box is from its rim; negative within."""
        x = min(max(self.x, box.left), box.right) - self.x
        y = min(max(self.y, box.bottom), box.top) - self.y
        return math.hypot(x, y) - self.radius


DIRECTIONS = 24
RINGS = 14
"""How many directions and distances are tried for a name."""

MISTAKABLE = 4
"""How many rings further out a name goes to be nearer to its own point than to any other."""


def place(
    discs: Sequence[Disc], sizes: Sequence[tuple[float, float]], area: Box, gap: float
) -> list[Box]:
    """Finds a place for each name, the nearest one that is free.

    Points with many others near them choose first. Where none is free, the place is taken that
    covers the least.

    Args:
        discs: the points.
        sizes: width and height of each point's name.
        area: what the names must lie in.
        gap: least distance between a name and its point, and between the rings that are tried.

    Returns:
        The box of each name, in the order of the points.
    """
    taken: dict[int, Box] = {}
    for index in sorted(range(len(discs)), key=lambda i: (-_crowd(discs, i), i)):
        obstacles = [*taken.values(), *(disc.box for disc in discs)]
        best, least = None, (math.inf, math.inf)
        for ring, box in _places(discs[index], sizes[index], gap):
            if least[0] == 0 and ring >= least[1]:
                break  # further out it cannot be better
            covered = sum(box.overlap(it) for it in obstacles) + 4 * box.outside(area)
            own = discs[index].distance(box)
            mistakable = any(it.distance(box) < own for it in discs)
            cost = (covered, ring + MISTAKABLE * mistakable)
            if cost < least:
                best, least = box, cost
        assert best is not None
        taken[index] = best
    return [taken[index] for index in range(len(discs))]


def _crowd(discs: Sequence[Disc], index: int) -> float:
    """How near the others are: the sum of inverse distances."""
    own = discs[index]
    distances = (math.hypot(own.x - it.x, own.y - it.y) for i, it in enumerate(discs) if i != index)
    return sum(1 / max(distance, 1e-9) for distance in distances)


def _places(disc: Disc, size: tuple[float, float], gap: float) -> Iterator[tuple[int, Box]]:
    """Boxes around a point with their rings, from the inmost outwards, each from the right."""
    width, height = size
    for ring in range(1, RINGS + 1):
        for turn in range(DIRECTIONS):
            angle = 2 * math.pi * turn / DIRECTIONS
            across, up = math.cos(angle), math.sin(angle)
            reach = disc.radius + ring * gap
            x = disc.x + across * (reach + width / 2)
            y = disc.y + up * (reach + height / 2)
            yield ring, Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
