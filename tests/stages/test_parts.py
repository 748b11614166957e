"""How the work is cut into parts and batches changes no result."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tessera.data.tokens import load_tokens
from tessera.io.parts import open_parts, read_part
from tessera.sampling import engine
from tessera.sampling.prepared import prepared
from tessera.stages import sampling
from tessera.stages.loading import load_vqgan
from tessera.stages.sampling import batches

CUTS = [{"parts": 3, "batch": 64}, {"parts": 1, "batch": 4}, {"parts": 2, "batch": 5}]


def run_parts(pipeline, section: str, name: str, out: Path, parts: int, batch: int) -> list[Path]:
    """Runs all parts, the last one first; returns their cards."""
    for part in reversed(range(parts)):
        pipeline.run(section, name, out, part=part, parts=parts, batch=batch)
    return [pipeline.card(section, name, out, part=part, parts=parts) for part in range(parts)]


def files(cards: list[Path]) -> list[Path]:
    """The arrays beside the cards."""
    return [card.with_suffix(".zarr.zip") for card in cards]


def sampled(cards: list[Path]) -> dict[str, np.ndarray]:
    """All arrays of a sampling, its parts joined."""
    return {name: array.compute() for name, array in open_parts(files(cards))[0].items()}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("name", ["semantic", "codes"])
def test_tokens(pipeline, tmp_path, name, cut):
    """Each image has the same tokens in every view."""
    whole = load_tokens(files([pipeline.card("tokens", name)]))
    cards = run_parts(pipeline, "tokens", name, tmp_path, **cut)
    made = load_tokens(files(cards))
    for field in ("codes", "labels", "numbers"):
        assert getattr(made, field).equal(getattr(whole, field))
    images = [json.loads(card.read_text())["results"]["images"] for card in cards]
    assert sum(images) == len(whole) == 48


@pytest.mark.parametrize("cut", CUTS)
def test_features_and_codebook(pipeline, tmp_path, cut):
    """K-Means begins from some of the points: their order must not depend on the cut either."""
    cards = run_parts(pipeline, "features", "vit", tmp_path, **cut)
    made = np.concatenate([read_part(file)[0]["features"] for file in files(cards)])
    whole = read_part(files([pipeline.card("features", "vit")])[0])[0]["features"]
    assert len(made) == len(whole)
    assert sorted(map(bytes, made)) == sorted(map(bytes, whole))
    pipeline.run("codebooks", "k8", tmp_path, features=cards)
    centroids = pipeline.card("codebooks", "k8", tmp_path).parent / "centroids.npy"
    expected = pipeline.card("codebooks", "k8").parent / "centroids.npy"
    assert centroids.read_bytes() == expected.read_bytes()


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("name", ["cond_ar", "uncond_nar", "vq"])
def test_sampling(pipeline, tmp_path, name, cut):
    """Image i is the same image; joined, the sample set has the same bytes."""
    cards = run_parts(pipeline, "samplings", name, tmp_path, **cut)
    made, whole = sampled(cards), sampled([pipeline.card("samplings", name)])
    assert made.keys() == whole.keys()
    for key in whole:
        assert np.array_equal(made[key], whole[key]), key
    joined = pipeline.run("samples", name, tmp_path, parts=cards)
    assert joined["outputs"] == pipeline.read("samples", name)["outputs"]


@pytest.mark.parametrize(
    ("count", "parts", "batch"), [(20, 3, 4), (7, 1, 7), (50, 7, 3), (2, 5, 9)]
)
def test_runs_of_a_part(count, parts, batch):
    """All images once, in runs of one length, of which the last may miss a few."""
    cut = [batches(count, part, parts, batch) for part in range(parts)]
    assert [i for runs in cut for ids in runs for i in ids] == list(range(count))
    for runs in filter(None, cut):
        lengths = [len(ids) for ids in runs]
        assert set(lengths[:-1]) <= {lengths[0]}
        assert len(runs) == -(-sum(lengths) // batch)
        assert 0 <= lengths[0] - lengths[-1] < len(runs) <= sum(lengths)


@pytest.mark.parametrize("name", ["cond_ar", "uncond_nar"])
def test_sampling_in_bfloat16(pipeline, tmp_path, monkeypatch, name):
    """Both transformers are prepared for it, and most first codes are those of float32.

    The decoder computes in it too: of the same codes it paints what float32 does, within 8 of 255.
    """
    asked = []

    def watched(model, rows, dtype):
        asked.append(dtype)
        return prepared(model, rows, dtype)

    for module in (engine, sampling):
        monkeypatch.setattr(module, "prepared", watched)
    half = pipeline.changed({f"samplings.{name}.precision": "bfloat16"})
    made = sampled(run_parts(half, "samplings", name, tmp_path, 1, 20))
    whole = sampled([pipeline.card("samplings", name)])
    assert asked == [torch.bfloat16] * 2
    for key, array in whole.items():
        assert made[key].shape == array.shape
        assert made[key].dtype == array.dtype
    assert (made["semantic"][:, 0] == whole["semantic"][:, 0]).mean() > 0.7
    vqgan = load_vqgan(pipeline.card("autoencoders", "vqgan").parent, "cpu").requires_grad_(False)
    painted = vqgan.paint(torch.from_numpy(made["codes"]).long()).permute(0, 2, 3, 1).numpy()
    assert 0 < np.abs(made["images"].astype(int) - painted).max() <= 8


@pytest.mark.parametrize("name", ["cond_ar", "uncond_nar"])
def test_more_samples(pipeline, tmp_path, name):
    """Sample i does not change when more are drawn."""
    more = pipeline.changed({f"samplings.{name}.count": 31})
    made = sampled(run_parts(more, "samplings", name, tmp_path, 2, 7))
    for key, array in sampled([pipeline.card("samplings", name)]).items():
        assert len(made[key]) == 31
        assert np.array_equal(made[key][:20], array), key


def test_samples_differ(pipeline):
    """Nor is one sample the copy of another, as with a seed forgotten."""
    codes = sampled([pipeline.card("samplings", "uncond_nar")])["codes"]
    assert len(np.unique(codes, axis=0)) == len(codes)


def test_more_parts_than_shards(pipeline, tmp_path):
    """A part without a shard is empty, not an error, and the set is whole."""
    cards = run_parts(pipeline, "tokens", "semantic", tmp_path, 4, 64)
    assert json.loads(cards[3].read_text())["results"]["images"] == 0
    assert len(load_tokens(files(cards))) == 48
    cards = run_parts(pipeline, "features", "vit", tmp_path, 4, 64)
    assert json.loads(cards[3].read_text())["results"]["points"] == 0
    made = pipeline.run("codebooks", "k8", tmp_path, features=cards)
    assert made["digest"] == pipeline.read("codebooks", "k8")["digest"]
