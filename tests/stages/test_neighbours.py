"""Nearest training images end to end, against all distances between images cropped by hand."""

import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

from tessera.io.images import write_adm
from tessera.stages.loading import load_classifier

WHICH = {"each": "cond_ar"}
LEVELS = (0, 1, 5, 25, 50, 75, 95, 99, 100)


def crops(pipeline, split: str) -> np.ndarray:
    """The central 32x32 of the packed images of a split, in the order of their numbers."""
    images = {}
    for file in pipeline.card("data", "shapes").parent.glob(f"{split}-*.tar"):
        with tarfile.open(file) as archive:
            for member in archive:
                if member.name.endswith(".png"):
                    picture = Image.open(archive.extractfile(member))
                    images[int(member.name.removesuffix(".png"))] = np.asarray(picture)[2:34, 2:34]
    return np.stack([images[number] for number in range(len(images))])


def samples(pipeline) -> np.ndarray:
    """The sample set that is searched for."""
    with np.load(pipeline.card("samples", "cond_ar").parent / "samples.npz") as archive:
        return archive["arr_0"]


@torch.no_grad()
def features(pipeline, images: np.ndarray) -> np.ndarray:
    """What the extractor's classifier says of images uint8 [N, H, W, 3]."""
    classifier = load_classifier(pipeline.card("extractors", "cnn").parent, "cpu").eval()
    inputs = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2) / 255
    return classifier.features(inputs).double().numpy()


def distances(pipeline, images: np.ndarray, metric: str = "euclidean") -> np.ndarray:
    """Of images to all training images, [N, 48]."""
    one, other = features(pipeline, images), features(pipeline, crops(pipeline, "train"))
    if metric == "cosine":
        one, other = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (one, other))
        return 1 - one @ other.T
    return np.linalg.norm(one[:, None] - other[None], axis=-1)


def planted(pipeline, folder) -> tuple[np.ndarray, dict]:
    """The sample set with training images 40 and 7 for its samples 2 and 11, and how to run it."""
    images = samples(pipeline).copy()
    images[[2, 11]] = crops(pipeline, "train")[[40, 7]]
    card = pipeline.copy("samples", "cond_ar", folder / "in")
    write_adm(card.parent / "samples.npz", [images], images.shape)
    return images, WHICH | {"samples": pipeline.stamp(card)}


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_against_all_distances(pipeline, tmp_path, metric):
    """Of the first 15 samples, and of all 12 validation images."""
    changed = pipeline.changed({"neighbours.shapes.metric": metric})
    results = changed.run("neighbours", "shapes", tmp_path, **WHICH)["results"]
    ours = distances(pipeline, samples(pipeline)[:15], metric)
    unseen = distances(pipeline, crops(pipeline, "validation"), metric).min(1)
    assert (results["metric"], results["count"]) == (metric, 15)
    assert results["reference"]["count"] == 48
    for row in results["shown"]["first"] + results["shown"]["nearest"]:
        nearest = ours[row["sample"]].argsort()[:3]
        assert row["numbers"] == nearest.tolist()
        assert row["distances"] == pytest.approx(ours[row["sample"], nearest], rel=1e-3, abs=1e-6)
    assert [row["sample"] for row in results["shown"]["first"]] == [0, 1, 2, 3]
    closest = ours.min(1).argsort(kind="stable")[:4]
    assert [row["sample"] for row in results["shown"]["nearest"]] == closest.tolist()
    for name, values in (("samples", ours.min(1)), ("validation", unseen)):
        wanted = {f"p{level}": np.percentile(values, level) for level in LEVELS}
        found = {key: results[name][key] for key in wanted}
        assert found == pytest.approx(wanted, rel=1e-3, abs=1e-6)
        assert results[name]["copies"] == 0
    near = np.percentile(unseen, 1)
    assert results["near"]["distance"] == pytest.approx(near, rel=1e-3)
    assert results["near"]["share"] == pytest.approx((ours.min(1) < near).mean())
    assert results["validation"]["count"] == 12


def test_planted_copies_are_found(pipeline, tmp_path):
    """At no distance, with the numbers of their originals, and counted."""
    _, given = planted(pipeline, tmp_path)
    results = pipeline.run("neighbours", "shapes", tmp_path / "out", **given)["results"]
    found = {row["sample"]: row for row in results["shown"]["nearest"][:2]}
    assert {place: row["numbers"][0] for place, row in found.items()} == {2: 40, 11: 7}
    assert all(row["distances"][0] < 1e-4 < row["distances"][1] for row in found.values())
    assert results["copies"] == [2, 11]
    assert results["samples"]["copies"] == 2
    assert results["samples"]["p0"] < 1e-4
    assert results["near"]["share"] >= 2 / 15


def test_the_picture(pipeline, tmp_path):
    """Each sample stands left of its neighbours, three times as large, first ones and nearest."""
    images, given = planted(pipeline, tmp_path)
    card = pipeline.run("neighbours", "shapes", tmp_path / "out", **given)
    file = pipeline.card("neighbours", "shapes", tmp_path / "out", **WHICH).with_suffix(".png")
    assert list(card["outputs"]) == [file.name]
    picture, training = np.asarray(Image.open(file)), crops(pipeline, "train")

    def places(image: np.ndarray) -> set[tuple[int, int]]:
        """Where the picture holds an image."""
        large = image.repeat(3, axis=0).repeat(3, axis=1)
        found = set()
        for top, left in np.argwhere((picture[:-95, :-95] == large[0, 0]).all(-1)):
            if np.array_equal(picture[top : top + 96, left : left + 96], large):
                found.add((int(top), int(left)))
        return found

    for block, rows in card["results"]["shown"].items():
        for row in rows:
            lefts = []
            for number in row["numbers"]:
                of_sample, of_image = places(images[row["sample"]]), places(training[number])
                tops = {top for top, _ in of_sample} & {top for top, _ in of_image}
                assert tops, (block, row)
                lefts.append(max(left for top, left in of_image if top in tops))
            if len(set(lefts)) == 3:  # an image may stand in several rows
                assert lefts == sorted(lefts)


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_batches_change_nothing(pipeline, tmp_path, batch):
    """But rounding."""
    first = pipeline.read("neighbours", "shapes", **WHICH)["results"]
    again = pipeline.run("neighbours", "shapes", tmp_path, batch=batch, **WHICH)["results"]
    for name in ("samples", "validation", "near"):
        assert again[name] == pytest.approx(first[name], rel=1e-3, abs=1e-6)
    assert [row["numbers"] for row in again["shown"]["first"]] == [
        row["numbers"] for row in first["shown"]["first"]
    ]


def test_a_set_of_fewer_samples_than_asked_for(pipeline, tmp_path):
    """All of them, and as many validation images, evenly spread."""
    settings = {"neighbours.shapes.samplings": ["vq"], "neighbours.shapes.rows": 10}
    changed = pipeline.changed(settings)
    results = changed.run("neighbours", "shapes", tmp_path, each="vq")["results"]
    assert results["count"] == results["validation"]["count"] == 7
    unseen = distances(pipeline, crops(pipeline, "validation")[np.arange(7) * 12 // 7]).min(1)
    assert results["validation"]["p50"] == pytest.approx(np.median(unseen), rel=1e-3)
    assert [len(rows) for rows in results["shown"].values()] == [7, 7]


def test_more_neighbours_than_images(pipeline, tmp_path):
    """Said before anything is extracted."""
    changed = pipeline.changed({"neighbours.shapes.neighbours": 49})
    error = changed.call("neighbours", "shapes", tmp_path, **WHICH).error
    assert "49 neighbours are asked for and there are 48 training images: lower" in error


def test_samples_of_another_size(pipeline, tmp_path):
    """As an evaluation says it."""
    card = pipeline.copy("samples", "cond_ar", tmp_path / "in")
    np.savez(card.parent / "samples.npz", np.zeros((20, 16, 24, 3), np.uint8))
    pipeline.stamp(card)
    error = pipeline.call("neighbours", "shapes", tmp_path / "out", samples=card, **WHICH).error
    assert "samples are 24x16 but the reference images 32x32: bring both to one size" in error
