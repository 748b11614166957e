"""What bfloat16 changes: the figures of the benchmark against values known by hand."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from tessera.config.load import load
from tessera.config.paths import Paths
from tessera.config.resolve import node
from tessera.io.codebooks import write_codebook
from tessera.io.weights import save_model
from tessera.models.vit import VisionTransformer, ViTConfig
from tessera.stages import shards

REPO = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def precision():
    """The benchmark's module."""
    spec = importlib.util.spec_from_file_location("precision", REPO / "benchmarks/precision.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_figures_by_hand(precision):
    """Two centroids on a line at 0 and 10: the border is at 5, the margin 100 - 20 x."""
    centroids = torch.tensor([[0.0, 0.0], [10.0, 0.0]])
    exact = torch.tensor([[4.0, 3.0], [4.9, 0.0], [9.0, 0.0], [5.1, 0.0]])
    rounded = torch.tensor([[4.5, 3.0], [5.2, 0.0], [9.0, 0.0], [5.3, -0.4]])
    found = precision.compare(exact, rounded, centroids)
    assert found["changed"].tolist() == [False, True, False, False]
    torch.testing.assert_close(
        found["margin"], torch.tensor([20.0, 2.0, 80.0, 2.0]), atol=1e-4, rtol=0
    )
    torch.testing.assert_close(found["largest"], torch.tensor([0.5, 0.3, 0.0, 0.4]))
    torch.testing.assert_close(found["mean"], torch.tensor([0.25, 0.15, 0.0, 0.3]))
    cosine = (4 * 4.5 + 9) / (5 * (4.5**2 + 9) ** 0.5)
    assert float(found["cosine"][0]) == pytest.approx(cosine)
    report = precision.summarise(found)
    assert (report["tokens"], report["changed_tokens"], report["changed_share"]) == (4, 1, 0.25)
    assert report["largest_absolute_error"] == pytest.approx(0.5)
    assert report["mean_absolute_error"] == pytest.approx(0.175)
    assert report["margin_quantiles_of_changed"]["0.5"] == pytest.approx(2, abs=1e-4)
    assert report["margin_quantiles"]["0.95"] == pytest.approx(80, abs=1e-4)
    json.dumps(report)


def test_nothing_changed(precision):
    """Equal features: no error, no changed token, no quantile of none."""
    points = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    report = precision.summarise(precision.compare(points, points, points[:5]))
    assert report["largest_absolute_error"] == report["changed_share"] == 0
    assert report["least_cosine"] == pytest.approx(1)
    assert report["margin_quantiles_of_changed"] == {}


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Digits, a random encoder and a random codebook where the workflow would have put them."""
    monkeypatch.chdir(tmp_path)
    raw = yaml.safe_load((REPO / "tests/workflow/config.yaml").read_text())
    kept = ("results", "data", "views", "encoders", "features", "codebooks")
    raw = {section: raw[section] for section in kept}
    for section in ("data", "views"):
        raw[section].pop("shapes")
    Path("config.yaml").write_text(yaml.safe_dump(raw))
    config = load([Path("config.yaml")])
    paths = Paths(config)
    settings = json.dumps(node(config, "data", "digits"))
    argv = ["--settings", settings, "--card", paths.card("data", "digits")]
    argv += ["--index", paths.folder("data", "digits") + "/index.json"]
    shown = config.data["digits"].shards
    argv += ["--shards", str(shown.train), str(shown.validation)]
    assert shards.main(argv) == 0
    torch.manual_seed(0)
    shape = ViTConfig(image_size=32, patch_size=8, width=16, depth=2, heads=2)
    save_model(paths.folder("encoders", "dino"), VisionTransformer(shape), shape)
    table = np.random.default_rng(0).normal(size=(8, 16))
    write_codebook(Path(paths.folder("codebooks", "k8")) / "centroids.npy", table)
    return tmp_path


@pytest.mark.slow
def test_a_whole_run(precision, made, capsys):
    """From a config's name to the JSON: an error of bfloat16's size, and versions and device."""
    assert precision.main(["k8", "--images", "30", "--batch", "7", "--device", "cpu"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["tokens"] == 30 * 16
    assert 1e-5 < report["mean_absolute_error"] < 0.05  # bfloat16 keeps 8 bits of numbers about 1
    assert 0.99 < report["least_cosine"] <= report["mean_cosine"] < 1
    assert 0 <= report["changed_share"] < 0.2
    assert (report["device"], report["encoder"], report["views"]) == ("cpu", "dino", "digits")
    assert report["versions"]["torch"] == torch.__version__
    again = precision.main(["k8", "--images", "30", "--batch", "30", "--device", "cpu"])
    assert again == 0
    same = json.loads(capsys.readouterr().out)
    assert same["changed_tokens"] == report["changed_tokens"]


@pytest.mark.slow
def test_names_that_are_none(precision, made, capsys):
    """One sentence each."""
    assert precision.main(["k9"]) == 1
    assert "'k9' is no codebook of the config" in capsys.readouterr().err
    assert precision.main(["k8", "--views", "none"]) == 1
    assert "--views names 'none'" in capsys.readouterr().err
    assert precision.main(["k16"]) == 1
    assert "does not exist" in capsys.readouterr().err
