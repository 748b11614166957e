"""Data sets of known size: that all of them is there, and its classes in their usual order."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tessera.errors import UserError


@dataclass(frozen=True)
class Known:
    """A published data set.

    Attributes:
        train: images for training.
        validation: images for validation.
        classes: number of classes.
        first: identifier of the first class.
        last: identifier of the last class.
    """

    train: int
    validation: int
    classes: int
    first: str
    last: str


KNOWN = {"imagenet": Known(1_281_167, 50_000, 1_000, "n01440764", "n15075141")}
"""ILSVRC 2012: counts of the challenge, identifiers in sorted order."""

_WNID = re.compile(r"n\d{8}")


def require_known(
    name: str, classes: Sequence[str], images: Mapping[str, int], named: bool
) -> None:
    """Checks a data set for what it is said to be.

    Args:
        name: the data set's name in `KNOWN`.
        classes: the classes' names in their order.
        images: images a split, with those that are left out on purpose.
        named: the classes are folders, so that their names must be the identifiers; labels that
            are numbers need not tell.

    Raises:
        UserError: something is missing or too much, or the classes are others.
    """
    known = KNOWN[name]
    found = (images["train"], images["validation"], len(classes))
    if found != (known.train, known.validation, known.classes):
        raise UserError(
            f"`expect: {name}` wants {known.train:,} training and {known.validation:,} validation "
            f"images of {known.classes:,} classes, and there are {found[0]:,}, {found[1]:,} and "
            f"{found[2]:,}: complete the data set, check its paths, or remove `expect`"
        )
    identified = all(_WNID.fullmatch(entry) for entry in classes)
    ends = (classes[0], classes[-1])
    if (named or identified) and (not identified or ends != (known.first, known.last)):
        raise UserError(
            f"`expect: {name}` wants classes from {known.first} to {known.last}, and they go from "
            f"{ends[0]} to {ends[1]}: name the folders by WordNet identifiers, or remove `expect`"
        )
