"""Images read where they lie: the same tokens and features as of packed ones."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as arrow
import pytest
from pyarrow import parquet

from tessera.config import sources
from tessera.data.tokens import load_tokens
from tessera.io.parts import read_part

CLASSES = ("disc", "square", "stripes")


def entries(images: Path, split: str) -> list[tuple[str, int, bytes]]:
    """Key, class and bytes of each image, classes mixed."""
    files = sorted((images / split).glob("*/*.png"), key=lambda file: (file.stem, file.parent.name))
    return [
        (f"{file.parent.name}_{file.stem}", CLASSES.index(file.parent.name), file.read_bytes())
        for file in files
    ]


def tar(path: Path, samples: list[tuple[str, int, bytes]]) -> None:
    with tarfile.open(path, "w") as archive:
        for key, label, data in samples:
            for suffix, content in (("png", data), ("cls", str(label).encode())):
                member = tarfile.TarInfo(f"{key}.{suffix}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


def table(path: Path, samples: list[tuple[str, int, bytes]]) -> None:
    columns = {
        "image": [{"bytes": data, "path": f"{key}.png"} for key, _, data in samples],
        "label": [label for _, label, _ in samples],
    }
    parquet.write_table(arrow.table(columns), path, row_group_size=7)


@pytest.fixture
def placed(pipeline, tmp_path):
    """A function that stores the pipeline's images as one kind; a pipeline with tokens of them."""
    sources.forget()

    def store(kind: str) -> Any:
        images = pipeline.root / "images"
        data: dict[str, Any] = {"kind": kind}
        if kind == "folder":
            shards = {"train": 3, "validation": 1}
            data |= {"path": str(images), "in_place": True, "shards": shards}
        else:
            ending, write = {"webdataset": ("tar", tar), "parquet": ("parquet", table)}[kind]
            for split in ("train", "validation"):
                samples = entries(images, split)
                for part in range(3):
                    write(tmp_path / f"{split}-{part}.{ending}", samples[part::3])
                data[split] = f"{tmp_path}/{split}-*.{ending}"
        centre = {"crop": 32, "random_crop": False}
        return pipeline.changed(
            {
                "data.placed": data,
                "views.placed": {"data": "placed"} | centre,
                "tokens.placed": {"views": "placed", "codebook": "k8"},
                "tokens.packed": {"views": "centre", "codebook": "k8"},
                "features.placed": {"views": "placed", "encoder": "vit", "points": 10_000},
                "features.packed": {"views": "centre", "encoder": "vit", "points": 10_000},
            }
        )

    yield store
    sources.forget()


def rows(*parts: Path) -> list[tuple[int, bytes]]:
    """Class and tokens of each image, sorted: their order is another one."""
    tokens = load_tokens([part.with_suffix(".zarr.zip") for part in parts])
    return sorted(
        (int(label), codes.numpy().tobytes())
        for label, codes in zip(tokens.labels, tokens.codes, strict=True)
    )


@pytest.mark.parametrize("kind", ["folder", "webdataset", "parquet"])
def test_tokens_are_those_of_packed_images(placed, tmp_path, kind):
    """In parts and with threads too; the encoder and codebook are those of the packed images."""
    made, out = placed(kind), tmp_path / "out"
    card = made.run("data", "placed", out)
    lists = {
        "train-00000-of-00003.tsv", "train-00001-of-00003.tsv", "train-00002-of-00003.tsv",
        "validation-00000-of-00001.tsv",
    }  # fmt: skip
    assert set(card["outputs"]) == {"index.json"} | (lists if kind == "folder" else set())
    assert (card["results"]["train_images"], card["results"]["validation_images"]) == (48, 12)
    assert not list(out.rglob("*.tar"))
    shards = made.card("data", "placed", out)
    for split, parts in (("train", 2), ("validation", 1)):
        cards = []
        for part in range(parts):
            options = {"split": split, "part": part, "parts": parts}
            made.run("tokens", "placed", out, shards=shards, threads=2, **options)
            cards.append(made.card("tokens", "placed", out, **options))
        made.run("tokens", "packed", out, split=split)
        assert rows(*cards) == rows(made.card("tokens", "packed", out, split=split))
    for name, extra in (("placed", {"shards": shards, "threads": 2}), ("packed", {})):
        made.run("features", name, out, **extra)
    points = [
        read_part(made.card("features", name, out).with_suffix(".zarr.zip"))[0]["features"]
        for name in ("placed", "packed")
    ]
    assert len(points[0]) == 48 * 16
    assert sorted(map(bytes, np.asarray(points[0]))) == sorted(map(bytes, np.asarray(points[1])))


def test_a_broken_image_stops_its_job_with_a_cure(placed, pipeline, tmp_path):
    """The tokens are not written; with the image excluded they are."""
    made, out = placed("webdataset"), tmp_path / "out"
    samples = entries(pipeline.root / "images", "train")
    samples[0] = (*samples[0][:2], b"no image")
    tar(tmp_path / "train-0.tar", samples[::3])
    sources.forget()
    shards = made.card("data", "placed", out)
    made.run("data", "placed", out)
    outcome = made.call("tokens", "placed", out, shards=shards)
    for words in ("train-0.tar", "no readable image", f"add '{samples[0][0]}' to `exclude`"):
        assert words in outcome.error
    mended = made.changed({"data.placed.exclude": [samples[0][0]]})
    mended.run("data", "placed", out)
    card = mended.run("tokens", "placed", out, shards=shards)
    assert card["results"]["images"] == 47


def test_a_flat_validation_folder_is_said(placed, pipeline, tmp_path):
    """Before anything is written."""
    images = tmp_path / "images"
    (images / "train" / "disc").mkdir(parents=True)
    (images / "val").mkdir()
    for file in (images / "train" / "disc" / "1.png", images / "val" / "1.png"):
        file.touch()
    made = placed("folder").changed({"data.placed.path": str(images)})
    outcome = made.call("data", "placed", tmp_path / "out")
    assert "val has no subfolders" in outcome.error
    assert not (tmp_path / "out").exists()


def test_the_cards_say_what_was_excluded(placed, tmp_path):
    """None as a rule."""
    made = placed("parquet")
    card = made.run("data", "placed", tmp_path / "out")
    assert card["results"]["excluded"] == 0
    assert json.loads(json.dumps(card["node"]["inputs"]["files"]))
