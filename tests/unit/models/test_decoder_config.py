"""Sizes that do not fit are told in words."""

from typing import Any

import pytest

from tessera.errors import UserError
from tessera.models.gpt import SIZES, GPTConfig

GOOD: dict[str, Any] = {
    "vocabulary": 10, "length": 4, "width": 8, "layers": 2, "heads": 2, "ffn": 16,
    "norm": "pre", "max_positions": 5,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"vocabulary": 0}, "vocabulary"),
        ({"length": 0}, "length"),
        ({"classes": -1}, "classes"),
        ({"layers": 1.5}, "layers"),
        ({"ffn": True}, "ffn"),
        ({"dropout": 1.0}, "dropout"),
        ({"norm": "both"}, "norm"),
        ({"heads": 3}, "multiple"),
        ({"prefix_length": 4}, "give both"),
        ({"prefix_vocabulary": 4}, "give both"),
        ({"max_positions": 4}, "take 5 positions"),
        ({"prefix_vocabulary": 4, "prefix_length": 6}, "take 6 positions"),
    ],
)
def test_bad_sizes_are_refused(change: dict[str, Any], words: str) -> None:
    """Each wrong size raises a UserError that names it."""
    with pytest.raises(UserError, match=words):
        GPTConfig(**(GOOD | change))


def test_rows_of_the_embedding_table() -> None:
    """Symbols, then the prefix with its own five specials, then the classes, without overlap."""
    plain = GPTConfig(**GOOD)
    assert (plain.symbols, plain.rows) == (15, 15)
    conditional = GPTConfig(**GOOD, classes=3)
    assert (conditional.class_offset, conditional.rows) == (15, 18)
    both = GPTConfig(**GOOD, classes=3, prefix_vocabulary=7, prefix_length=4)
    assert (both.prefix_offset, both.class_offset, both.rows) == (20, 27, 30)


def test_published_sizes_are_complete() -> None:
    """Every published size makes a config together with what the data decides."""
    for size in SIZES.values():
        GPTConfig(vocabulary=8192, length=256, norm="post", max_positions=1024, **size)
