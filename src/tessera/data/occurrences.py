"""Where codes come in a token set, of which a part fits into memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tessera.data.spans import array_of
from tessera.errors import UserError
from tessera.io.parts import open_part

Codes = NDArray[np.integer]


@dataclass(frozen=True)
class FirstTokens:
    """The tokens of the first images of a split.

    Attributes:
        codes: [N, views, L], image i's in row i.
        labels: [N], classes.
    """

    codes: Codes
    labels: NDArray[np.integer]


@dataclass(frozen=True)
class Place:
    """One token of an image.

    Attributes:
        image: the image's number.
        view: which crop of it.
        position: the token's place in the crop's grid, row by row.
    """

    image: int
    view: int
    position: int


def read_first(parts: Sequence[Path], images: int) -> FirstTokens:
    """Reads the tokens of images 0 to `images` - 1, or of all where there are not as many.

    Of parts that hold others too, only the chunks are read in which they lie.

    Args:
        parts: all files of a split.
        images: how many images.

    Raises:
        UserError: a part is damaged, an image is missing or there twice, or there is none.
    """
    read: dict[str, list[NDArray[np.integer]]] = {"codes": [], "label": [], "number": []}
    held = 0
    for part in parts:
        with open_part(part) as group:
            numbers = np.asarray(array_of(group, "number", part)[:])
            held += len(numbers)
            (rows,) = np.nonzero(numbers < images)
            if len(rows):
                for name, found in read.items():
                    found.append(np.asarray(array_of(group, name, part).oindex[rows]))
    wanted = min(images, held)
    numbers = np.concatenate([*read["number"], np.zeros(0, np.int64)])
    order = np.argsort(numbers)
    if not wanted or not np.array_equal(numbers[order], np.arange(wanted)):
        raise UserError(
            f"the parts beside {parts[0]} do not hold each of the first {wanted} images once: "
            "delete them and run again"
        )
    return FirstTokens(np.concatenate(read["codes"])[order], np.concatenate(read["label"])[order])


def spread_codes(counts: NDArray[np.integer], wanted: int, least: int) -> list[int]:
    """Codes from the most to the least frequent one, evenly spread over their ranks.

    Args:
        counts: [K], how often each code comes.
        wanted: how many; all where there are not as many.
        least: codes that come less often are passed over, unless all do.

    Returns:
        Codes, the most frequent one first; of two equally frequent ones the lower.
    """
    ranked = np.argsort(-counts.astype(np.int64), kind="stable")
    often = ranked[counts[ranked] >= least]
    often = often if len(often) else ranked[counts[ranked] > 0]
    ranks = np.linspace(0, len(often) - 1, min(wanted, len(often))).round().astype(int)
    return [int(code) for code in often[ranks]]


def draw_places(codes: Codes, code: int, wanted: int, seed: int) -> list[Place]:
    """A draw of places where a code comes, no two in one image.

    The draw depends on the seed, the code and the tokens alone.

    Args:
        codes: [N, views, L], image i's in row i.
        code: the code.
        wanted: how many; fewer where it comes in fewer images.
        seed: of the draw.
    """
    found = np.argwhere(codes == code)
    draw = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, code])))
    places: dict[int, Place] = {}
    for image, view, position in found[draw.permutation(len(found))].tolist():
        if len(places) == wanted:
            break
        places.setdefault(image, Place(image, view, position))
    return list(places.values())
