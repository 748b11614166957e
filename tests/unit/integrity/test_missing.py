"""Results that are gone although others were made of them."""

import shutil

import pytest

from tessera.integrity.inventory import find_cards
from tessera.integrity.missing import find_missing

from .conftest import CODEBOOK, FEATURES, PART


def missing(folder) -> list[str]:
    found = find_missing(find_cards(folder.results), folder.planned)
    return [str(problem.file.relative_to(folder.results)) for problem in found]


def test_nothing_is_missing(folder):
    """All cards are there."""
    assert missing(folder) == []


@pytest.mark.parametrize("name", ["encoders/dino/card.json", PART.format(1)])
def test_a_card_that_others_tell_of(folder, name):
    """One, and the second of two parts that share a node."""
    (folder.results / name).unlink()
    assert missing(folder) == [name]


def test_what_nothing_was_made_of_is_simply_not_made(folder):
    """The last of the chain; and, where it is gone as well, the one before."""
    (folder.results / "codebooks/k8/card.json").unlink()
    assert missing(folder) == []
    shutil.rmtree(folder.results / "features")
    assert missing(folder) == []


def test_another_cut_into_parts_was_never_made(folder):
    """The codebook read two parts: the config asks for three now."""
    folder.make("features/dino/part-0002-of-0003.json", FEATURES, {}, "features", 2, 3)
    (folder.results / "features/dino/part-0002-of-0003.json").unlink()
    assert missing(folder) == []


def test_a_variant_with_another_name(folder):
    """It was renamed: what was made of it was made under the old name, which is still there."""
    folder.make("codebooks/new/card.json", CODEBOOK, {}, "codebooks")
    folder.make("tokens/a/card.json", {**CODEBOOK, "inputs": {"codebook": CODEBOOK}}, {}, "tokens")
    (folder.results / "codebooks/new/card.json").unlink()
    assert missing(folder) == []
    (folder.results / "codebooks/k8/card.json").unlink()
    assert missing(folder) == ["codebooks/k8/card.json", "codebooks/new/card.json"]
