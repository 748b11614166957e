"""Codes counted, and K-Means over a sample: dask's two jobs, on threads."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.stages.test_parts import CUTS, files, run_parts

from tessera.data.points import place_keys
from tessera.io.parts import read_part
from tessera.quantize.kmeans import fit_kmeans
from tessera.stages import usage


def histograms(card: Path) -> dict[str, np.ndarray]:
    """What the stage wrote beside its card."""
    with np.load(card.parent / "histograms.npz") as archive:
        return dict(archive)


@pytest.mark.parametrize("name", ["semantic", "codes"])
def test_each_code_is_counted_with_its_class(pipeline, name):
    """Against a plain loop over the token set."""
    arrays, attributes = read_part(files([pipeline.card("tokens", name)])[0])
    expected = np.zeros((3, attributes["vocabulary"]), np.int64)
    for codes, label in zip(arrays["codes"], arrays["label"], strict=True):
        for code in codes.ravel():
            expected[label, code] += 1
    found = histograms(pipeline.card("usage", name))
    assert np.array_equal(found["by_class"], expected)
    assert np.array_equal(found["codes"], expected.sum(0))
    assert found["dead"].tolist() == [c for c, n in enumerate(expected.sum(0)) if n == 0]
    results = pipeline.read("usage", name)["results"]
    assert (results["images"], results["views"], results["classes"]) == (48, 2, 3)
    assert results["codes"] == arrays["codes"].size
    assert results["used"] + results["dead"] == results["vocabulary"] == attributes["vocabulary"]
    share = expected.sum(0) / expected.sum()
    bits = -sum(p * np.log2(p) for p in share if p)
    assert results["entropy_bits"] == pytest.approx(bits, rel=1e-12)


@pytest.mark.parametrize("cut", CUTS)
def test_usage_does_not_depend_on_the_cut(pipeline, tmp_path, cut):
    """Nor on the threads: the same file of the same bytes."""
    cards = run_parts(pipeline, "tokens", "semantic", tmp_path, **cut)
    made = pipeline.run("usage", "semantic", tmp_path, tokens=cards, threads=2)
    assert made["digest"] == pipeline.read("usage", "semantic")["digest"]


@pytest.mark.parametrize("cut", CUTS)
def test_a_codebook_of_a_sample(pipeline, tmp_path, cut):
    """`points` of the codebook: as if the features had held these points alone."""
    cards = run_parts(pipeline, "features", "vit", tmp_path, **cut)
    sampled = pipeline.changed({"codebooks.k8.points": 100})
    made = sampled.run("codebooks", "k8", tmp_path, features=cards)
    arrays, _ = read_part(files([pipeline.card("features", "vit")])[0])
    keys = place_keys(arrays["place"], seed=1234)
    rows = sorted(np.argsort(keys)[:100], key=lambda row: arrays["place"][row])
    fitted = fit_kmeans(arrays["features"][rows].astype(np.float32), 8, 5)
    centroids = np.load(pipeline.card("codebooks", "k8", tmp_path).parent / "centroids.npy")
    assert np.array_equal(centroids, fitted.centroids)
    assert made["results"]["points"] == sum(made["results"]["counts"]) == 100


def test_a_sample_of_more_points_than_there_are(pipeline, tmp_path):
    """All of them are read, and the centroids are those of no sample."""
    made = pipeline.changed({"codebooks.k8.points": 10**6}).run("codebooks", "k8", tmp_path)
    assert made["digest"] == pipeline.read("codebooks", "k8")["digest"]


def test_settings_of_dask_that_are_none(pipeline, tmp_path, capsys):
    """By hand they are typed; argparse says what is wrong."""
    for text in ('{"scheduler": "host"}', "{", '{"workers": 3}'):
        _, argv = pipeline.command("usage", "semantic", tmp_path, dask=text)
        with pytest.raises(SystemExit):
            usage.main(argv)
        assert "argument --dask: " in capsys.readouterr().err


def test_the_card_says_who_computed(pipeline):
    """As a fact of the run: it changes no result."""
    card = pipeline.read("usage", "semantic")
    assert card["run"]["scheduler"] == "threads"
    assert "threads" not in json.dumps(card["results"])
