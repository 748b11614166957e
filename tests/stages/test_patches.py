"""What a code sees, shown for codes that are known functions of the pixels of their patches."""

import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image
from tests.stages.test_parts import CUTS, run_parts

from tessera.config.data import Views
from tessera.config.load import load
from tessera.data.images import ShardIndex
from tessera.integrity.survey import survey
from tessera.io.parts import read_part, write_part
from tessera.report.pictures.patches import GAP, LEAST_SIDE, frame_width

FRAME = (0xD5, 0x5E, 0x00)
FACTOR = LEAST_SIDE // 32
WIDTH = frame_width(LEAST_SIDE, LEAST_SIDE)
SIDE = LEAST_SIDE + 2 * WIDTH


def crops(pipeline, split: str) -> np.ndarray:
    """All views of a split, uint8 [N, views, 32, 32, 3]."""
    index = ShardIndex(pipeline.card("data", "shapes").parent / "index.json")
    views = Views.model_validate(pipeline.raw["views"]["pairs"])
    return index.load(split, views).pixels.transpose(0, 1, 3, 4, 2)


def bins(squares: np.ndarray) -> np.ndarray:
    """Brightness of squares [..., h, w, 3], from 0 to 7."""
    return np.minimum(squares.mean(axis=(-3, -2, -1)) // 20, 7).astype(np.uint16)


def brightness(pipeline, split: str, out):
    """A token set whose codes tell how bright their patches are; returns its card."""
    card = pipeline.copy("tokens", "semantic", out, split=split)
    part = card.with_suffix(".zarr.zip")
    arrays, attributes = read_part(part)
    pixels = crops(pipeline, split)[arrays["number"]]
    squares = pixels.reshape(*pixels.shape[:2], 4, 8, 4, 8, 3).swapaxes(3, 4)
    arrays["codes"] = bins(squares).reshape(arrays["codes"].shape)
    part.unlink()
    write_part(part, arrays, attributes)
    return pipeline.stamp(card)


def tiles(card) -> np.ndarray:
    """The tiles of the picture beside a card, [rows, columns, side, side, 3]."""
    pixels = np.asarray(Image.open(card.parent / "patches.png"))
    columns = 4
    pixels = pixels[:, pixels.shape[1] - columns * (SIDE + GAP) + GAP :]
    step = SIDE + GAP
    return np.array(
        [
            [
                pixels[top : top + SIDE, left : left + SIDE]
                for left in range(0, columns * step, step)
            ]
            for top in range(0, len(pixels), step)
        ]
    )


def inside(tile: np.ndarray) -> tuple[int, int, np.ndarray]:
    """Row and column in the view of the patch that a tile frames, and its pixels."""
    rows, columns = np.nonzero((tile == FRAME).all(axis=2))
    inner = WIDTH - WIDTH // 2
    top, left = rows.min() + inner, columns.min() + inner
    bottom, right = rows.max() + 1 - inner, columns.max() + 1 - inner
    place = [(edge - WIDTH) // FACTOR for edge in (top, left)]
    return *place, tile[top:bottom:FACTOR, left:right:FACTOR]


@pytest.mark.parametrize("split", ["train", "validation"])
def test_every_patch_is_of_its_code_and_place(pipeline, tmp_path, split):
    """The frame holds a square as bright as its row says, in the crop that was tokenised."""
    changed = pipeline.changed({"patches.semantic.split": split, "patches.semantic.clusters": 5})
    card = brightness(changed, split, tmp_path)
    made = changed.run("patches", "semantic", tmp_path, tokens=card)["results"]
    pixels = crops(pipeline, split)
    shown = tiles(changed.card("patches", "semantic", tmp_path))
    assert len(shown) == len(made["clusters"]) == 5
    seen = 0
    for row, entry in zip(shown, made["clusters"], strict=True):
        for tile, patch in zip(row, entry["patches"], strict=False):
            top, left, square = inside(tile)
            assert square.shape == (8, 8, 3)
            assert bins(square) == entry["code"]
            assert (top, left) == (patch["position"] // 4 * 8, patch["position"] % 4 * 8)
            view = pixels[patch["image"], patch["view"]]
            whole = tile[WIDTH:-WIDTH:FACTOR, WIDTH:-WIDTH:FACTOR]
            around = np.ones((32, 32), bool)
            around[
                max(0, top - WIDTH) : top + 8 + WIDTH, max(0, left - WIDTH) : left + 8 + WIDTH
            ] = 0
            assert np.array_equal(whole[around], view[around])
            seen += 1
        for tile in row[len(entry["patches"]) :]:
            assert (tile == 255).all()
    assert seen > 10
    views = {patch["view"] for entry in made["clusters"] for patch in entry["patches"]}
    assert views == ({0, 1} if split == "train" else {0})


@pytest.mark.parametrize("images", [5, 1000])
def test_the_numbers_beside_the_picture(pipeline, tmp_path, images):
    """Counts, images and classes, counted one token after the other.

    Of 12 validation images five that are spread evenly are 0, 2, 4, 7 and 9.
    """
    looked = (0, 2, 4, 7, 9) if images == 5 else range(12)
    changed = pipeline.changed({"patches.semantic.images": images, "patches.semantic.clusters": 99})
    made = changed.run("patches", "semantic", tmp_path)["results"]
    card = pipeline.card("tokens", "semantic", split="validation")
    arrays, _ = read_part(card.with_suffix(".zarr.zip"))
    classes = ShardIndex(pipeline.card("data", "shapes").parent / "index.json").classes
    counts: dict[int, int] = {}
    within: dict[int, dict[str, int]] = {}
    for row, number in enumerate(arrays["number"]):
        if number in looked:
            for code in arrays["codes"][row].ravel().tolist():
                counts[code] = counts.get(code, 0) + 1
                name = classes[arrays["label"][row]]
                by_class = within.setdefault(code, {})
                by_class[name] = by_class.get(name, 0) + 1
    shown = {entry["code"]: entry for entry in made["clusters"]}
    assert shown.keys() == {code for code, count in counts.items() if count >= 4}
    for code, entry in shown.items():
        assert entry["count"] == counts[code]
        assert entry["classes"] == within[code]
        assert entry["class_share"] == max(within[code].values()) / counts[code]
        assert within[code][entry["class"]] == max(within[code].values())
    assert [entry["count"] for entry in made["clusters"]] == sorted(
        (count for count in counts.values() if count >= 4), reverse=True
    )
    assert made["images"] == len(looked)
    found = {patch["image"] for entry in made["clusters"] for patch in entry["patches"]}
    assert found <= set(looked)
    assert made["tokens"] == sum(counts.values())
    assert made["used"] == len(counts)


@pytest.mark.parametrize("cut", CUTS)
def test_parts_change_nothing(pipeline, tmp_path, cut):
    """However the tokens were cut, the picture has the same bytes."""
    changed = pipeline.changed({"patches.semantic.split": "train"})
    whole = changed.run("patches", "semantic", tmp_path / "whole")
    cards = run_parts(pipeline, "tokens", "semantic", tmp_path, **cut)
    made = changed.run("patches", "semantic", tmp_path, tokens=cards)
    assert made["outputs"] == whole["outputs"]
    assert made["results"] == whole["results"]


def test_codes_of_an_autoencoder(pipeline, tmp_path):
    """Any token set will do."""
    changed = pipeline.changed({"patches.semantic.tokens": "codes"})
    made = changed.run("patches", "semantic", tmp_path)
    assert made["results"]["kind"] == "autoencoder"
    assert made["results"]["grid"] == [4, 4]


def test_tokens_of_the_other_split(pipeline, tmp_path):
    """Paths that were mixed up."""
    error = pipeline.call(
        "patches", "semantic", tmp_path, tokens=pipeline.card("tokens", "semantic")
    )
    assert re.search("holds tokens of the split train, the settings say validation", error.error)


@pytest.mark.parametrize("lost", ["patches/semantic/patches.png", "projections/toy/points.npz"])
def test_a_damaged_file_is_found(pipeline, tmp_path, lost):
    """`tessera verify` knows pictures and points by their cards, and what the pictures need."""
    root = tmp_path / "results"
    for section, name in (("patches", "semantic"), ("projections", "toy")):
        shutil.copytree(pipeline.card(section, name).parent, root / section / name)
    config = tmp_path / "config.json"
    config.write_text(json.dumps(pipeline.raw | {"results": str(root)}))
    (root / lost).write_bytes(b"")
    problems = {str(problem.file.relative_to(root)) for problem in survey(load([config])).problems}
    assert lost in problems
    # Of the tokens, none of which are there, those of the split that was read are missed.
    missed = {name for name in problems if name.startswith("tokens/semantic/")}
    assert missed == {"tokens/semantic/validation/part-0000-of-0001.json"}
