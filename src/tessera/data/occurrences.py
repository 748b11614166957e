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
class SomeTokens:
    """The tokens of some images of a split.

    Attributes:
        codes: [N, views, L].
        labels: [N], classes.
        numbers: [N], the images' places in the split's order, ascending.
    """

    codes: Codes
    labels: NDArray[np.integer]
    numbers: NDArray[np.integer]


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


def read_some(parts: Sequence[Path], wanted: NDArray[np.integer]) -> SomeTokens:
    """Reads the tokens of some images.

    Of parts that hold others too, only the chunks are read in which they lie: all of them where the
    images are spread, but not all at once.

    Args:
        parts: all files of a split.
        wanted: [N], numbers of the images, ascending, at least one.

    Raises:
        UserError: a part is damaged, or an image is missing or there twice.
    """
    read: dict[str, list[NDArray[np.integer]]] = {"codes": [], "label": [], "number": []}
    for part in parts:
        with open_part(part) as group:
            numbers = np.asarray(array_of(group, "number", part)[:])
            (rows,) = np.nonzero(np.isin(numbers, wanted))
            if len(rows):
                for name, found in read.items():
                    found.append(np.asarray(array_of(group, name, part).oindex[rows]))
    numbers = np.concatenate([*read["number"], np.zeros(0, np.int64)])
    order = np.argsort(numbers)
    if not np.array_equal(numbers[order], wanted):
        raise UserError(
            f"the parts beside {parts[0]} do not hold each of {len(wanted)} images once that the "
            "split has: delete them and run again"
        )
    codes, labels = (np.concatenate(read[name])[order] for name in ("codes", "label"))
    return SomeTokens(codes, labels, numbers[order])


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


def draw_places(tokens: SomeTokens, code: int, wanted: int, seed: int) -> list[Place]:
    """A draw of places where a code comes, no two in one image.

    The draw depends on the seed, the code and the tokens alone.

    Args:
        tokens: those of the images that are drawn from.
        code: the code.
        wanted: how many; fewer where it comes in fewer images.
        seed: of the draw.
    """
    found = np.argwhere(tokens.codes == code)
    draw = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, code])))
    places: dict[int, Place] = {}
    for row, view, position in found[draw.permutation(len(found))].tolist():
        if len(places) == wanted:
            break
        image = int(tokens.numbers[row])
        places.setdefault(image, Place(image, view, position))
    return list(places.values())
