"""Token sets in memory, and the batches drawn from them."""

import numpy as np
import pytest
import torch

from tessera.data.tokens import draw_batch, load_tokens
from tessera.errors import UserError
from tessera.io.parts import write_part

ATTRIBUTES = {"vocabulary": 8, "classes": ["a", "b"]}


def write(folder, numbers, name="p", **arrays):
    """A part whose codes and labels tell the number of their image."""
    numbers = np.asarray(numbers, np.int64)
    codes = np.stack([numbers % 8, (numbers + 1) % 8], 1).astype(np.uint16)[:, None]
    path = folder / f"{name}.zarr.zip"
    made = {"codes": codes, "label": numbers % 2, "number": numbers} | arrays
    write_part(path, made, ATTRIBUTES)
    return path


def test_parts_become_one_set_in_the_order_of_the_images(tmp_path):
    """Whatever order shards and parts have."""
    tokens = load_tokens([write(tmp_path, [4, 0, 2], "a"), write(tmp_path, [3, 1], "b")])
    assert tokens.numbers.tolist() == [0, 1, 2, 3, 4]
    assert tokens.codes[:, 0].tolist() == [[i, i + 1] for i in range(5)]
    assert tokens.labels.tolist() == [0, 1, 0, 1, 0]
    assert (len(tokens), tokens.length, tokens.vocabulary) == (5, 2, 8)
    assert (tokens.codes.dtype, tokens.labels.dtype) == (torch.int32, torch.int64)
    assert tokens.to("cpu").classes == ["a", "b"]


@pytest.mark.parametrize("numbers", [[0, 1, 3], [0, 1, 1], [1, 2], []])
def test_a_missing_or_repeated_image_is_an_error(tmp_path, numbers):
    """Parts of two runs were mixed, or one is absent."""
    with pytest.raises(UserError, match="do not hold each image once"):
        load_tokens([write(tmp_path, numbers)])


def test_a_token_beyond_the_vocabulary_is_an_error(tmp_path):
    """It would index past an embedding."""
    codes = np.full((1, 1, 2), 8, np.uint16)
    with pytest.raises(UserError, match="reach 8, beyond their vocabulary of 8"):
        load_tokens([write(tmp_path, [0], codes=codes)])


def test_a_batch_is_a_function_of_seed_and_update():
    """Each image once an epoch; the views drawn evenly."""
    images, views = zip(*(draw_batch(50, 4, 10, 3, step) for step in range(200)), strict=True)
    for epoch in range(40):
        seen = torch.cat(images[5 * epoch : 5 * epoch + 5])
        assert sorted(seen.tolist()) == list(range(50))
    counts = torch.bincount(torch.cat(views), minlength=4)
    assert counts.min() > 400  # of 500 expected; four standard deviations are 77
    again = draw_batch(50, 4, 10, 3, 7)
    assert torch.equal(again[0], images[7])
    assert torch.equal(again[1], views[7])
