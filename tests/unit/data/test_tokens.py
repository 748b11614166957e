"""Token sets in memory, and the order in which a training sees them."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tessera.data.tokens import draw_batch, load_tokens
from tessera.errors import UserError
from tessera.io.parts import write_part

ATTRIBUTES = {"vocabulary": 50, "grid": [2, 2], "classes": ["cat", "dog"]}
CODES = np.random.default_rng(0).integers(0, 50, (7, 2, 4)).astype(np.uint16)
LABELS = np.arange(7) % 2


def write(folder: Path, *parts: list[int], codes: np.ndarray = CODES, **attributes: Any) -> list:
    """One part for each list of image numbers; returns the files."""
    files = []
    for i, numbers in enumerate(parts):
        arrays = {
            "codes": codes[numbers].reshape(len(numbers), 2, 4),
            "label": LABELS[numbers].astype(np.int64),
            "number": np.asarray(numbers, np.int64),
        }
        files.append(folder / f"part-{i}.zarr.zip")
        write_part(files[-1], arrays, ATTRIBUTES | attributes)
    return files


@pytest.mark.parametrize(
    "parts", [[[0, 1, 2, 3, 4, 5, 6]], [[4, 5, 6], [0, 1, 2, 3]], [[6, 0], [3, 1, 5], [], [2, 4]]]
)
def test_parts_are_put_in_order(tmp_path, parts):
    """However many they are, and in whatever order they come."""
    tokens = load_tokens(write(tmp_path, *parts))
    assert torch.equal(tokens.codes, torch.from_numpy(CODES.astype(np.int32)))
    assert tokens.labels.tolist() == LABELS.tolist()
    assert tokens.numbers.tolist() == list(range(7))
    assert (len(tokens), tokens.length, tokens.vocabulary) == (7, 4, 50)
    assert tokens.classes == ["cat", "dog"]


def test_types(tmp_path):
    """int32 takes the largest uint16 code and half of the memory of int64."""
    codes = np.full((7, 2, 4), 65_534, np.uint16)
    tokens = load_tokens(write(tmp_path, list(range(7)), codes=codes, vocabulary=65_535))
    assert tokens.codes.dtype == torch.int32
    assert tokens.labels.dtype == tokens.numbers.dtype == torch.int64
    assert int(tokens.codes.max()) == 65_534
    assert tokens.to("cpu").vocabulary == 65_535


@pytest.mark.parametrize(
    "parts",
    [[[0, 1, 2], [2, 3]], [[0, 1], [3, 4]], [[1, 2, 3]], [[0, 0]], [[]]],
    ids=["twice", "a gap", "the first missing", "twice in a part", "none"],
)
def test_an_image_missing_or_twice(tmp_path, parts):
    """A training must see each once an epoch."""
    with pytest.raises(UserError, match=r"do not hold each image once .*: delete them"):
        load_tokens(write(tmp_path, *parts))


def test_a_token_beyond_the_vocabulary(tmp_path):
    """It would index past the embedding's rows, on a GPU with no word."""
    codes = CODES.copy()
    codes[6, 1, 3] = 50
    files = write(tmp_path, list(range(7)), codes=codes)
    with pytest.raises(UserError, match=r"reach 50, beyond their vocabulary of 50"):
        load_tokens(files)


@pytest.mark.parametrize(("images", "batch"), [(10, 4), (7, 7), (5, 13), (12, 4), (1, 3)])
def test_every_image_once_an_epoch(images, batch):
    """Batches run across epochs, so the first n draws hold each image n / images times."""
    updates = 3 * images
    drawn = torch.cat([draw_batch(images, 2, batch, 0, step)[0] for step in range(updates)])
    for epoch in drawn[: len(drawn) // images * images].split(images):
        assert sorted(epoch.tolist()) == list(range(images))


def test_epochs_differ():
    """The order is drawn anew each time; another seed draws others."""
    orders = {tuple(draw_batch(20, 1, 20, seed, s)[0].tolist()) for seed in (0, 1) for s in (0, 1)}
    assert len(orders) == 4


def test_views_are_drawn_evenly():
    """Each view of an image about as often: 4,000 draws of 4, within 5 standard deviations."""
    views = torch.cat([draw_batch(10, 4, 40, 0, step)[1] for step in range(100)])
    counts = Counter(views.tolist())
    assert sorted(counts) == [0, 1, 2, 3]
    assert all(abs(count - 1000) < 5 * (4000 * 0.25 * 0.75) ** 0.5 for count in counts.values())


def test_a_batch_depends_on_seed_and_update_alone():
    """Asked for in another order, or alone, it is the same."""
    first = [draw_batch(9, 3, 4, 5, step) for step in range(6)]
    for step in (5, 0, 3):
        for expected, found in zip(first[step], draw_batch(9, 3, 4, 5, step), strict=True):
            assert torch.equal(expected, found)
            assert found.dtype == torch.int64


def test_micro_batches_make_up_the_batch():
    """Images and views of an update do not depend on how it is cut."""
    whole = draw_batch(50, 3, 12, 7, 4)
    pieces = [draw_batch(50, 3, 12, 7, 4, micro_batch=4, micro=micro) for micro in range(3)]
    for position in (0, 1):
        cut = torch.cat([piece[position] for piece in pieces])
        assert torch.equal(cut, whole[position])


def test_parts_of_other_shapes(tmp_path):
    """Crops of another size, under the right name: one sentence that names both files."""
    files = write(tmp_path, [0, 1, 2, 3])
    other = tmp_path / "part-9.zarr.zip"
    arrays = {"codes": np.zeros((3, 2, 9), np.uint16), "label": LABELS[:3], "number": np.arange(3)}
    write_part(other, arrays, ATTRIBUTES)
    with pytest.raises(UserError, match=r"part-9.*\(3, 2, 9\), .*part-0.* of \(4, 2, 4\): delete"):
        load_tokens([*files, other])


def test_a_part_of_another_stage(tmp_path):
    """Features, say."""
    write_part(tmp_path / "a.zarr.zip", {"features": np.zeros((3, 2))}, ATTRIBUTES)
    with pytest.raises(UserError, match=r"a\.zarr\.zip holds no tokens \(features\)"):
        load_tokens([tmp_path / "a.zarr.zip"])
