"""Evaluations end to end, against torch-fidelity's own front end on images cropped by hand."""

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch_fidelity
from PIL import Image
from torch.utils.data import Dataset
from torch_fidelity import FeatureExtractorInceptionV3

from tessera.metrics.extractors import ClassifierFeatures
from tessera.stages import evaluation
from tessera.stages.loading import load_classifier

METRICS = {
    "fid": "frechet_inception_distance",
    "is": "inception_score_mean",
    "is_std": "inception_score_std",
    "kid": "kernel_inception_distance_mean",
    "kid_std": "kernel_inception_distance_std",
    "precision": "precision",
    "recall": "recall",
}
"""The card's keys → those of torch-fidelity."""


class Bytes(Dataset):
    """Images uint8 [N, H, W, 3] as torch-fidelity wants them."""

    def __init__(self, images: np.ndarray) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.from_numpy(self.images[index]).permute(2, 0, 1)


def centres(pipeline, split: str) -> np.ndarray:
    """The 36x36 files of a split, their central 32x32, in the order of the shards."""
    index = json.loads((pipeline.results / "data" / "shapes" / "index.json").read_text())
    files = sorted((pipeline.root / "images" / split).rglob("*.png"))
    assert index["splits"][split]["count"] == len(files)
    return np.stack([np.asarray(Image.open(file))[2:34, 2:34] for file in files])


def samples(pipeline) -> np.ndarray:
    """The sample set that is evaluated."""
    with np.load(pipeline.card("samples", "cond_ar").parent / "samples.npz") as archive:
        return archive["arr_0"]


def expected(pipeline, reference: np.ndarray, extractor: str, **options: Any) -> dict[str, float]:
    """What torch-fidelity alone computes, by the card's keys."""
    found = torch_fidelity.calculate_metrics(
        input1=Bytes(samples(pipeline)),
        input2=Bytes(reference),
        feature_extractor=extractor,
        isc=True,
        fid=True,
        kid=True,
        prc=True,
        kid_subset_size=min(20, len(reference)) // 2,
        rng_seed=0,
        cuda=False,
        cache=False,
        verbose=False,
        save_cpu_ram=True,
        **options,
    )
    return {key: found[name] for key, name in METRICS.items()}


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def with_inception(pipeline, weights: Path, **evaluations: dict[str, Any]):
    """The pipeline with an Inception extractor and some evaluations by it."""
    settings = {"kind": "inception", "weights": str(weights), "sha256": digest(weights)}
    changes: dict[str, Any] = {"extractors.inception": settings}
    for name, values in evaluations.items():
        both = {"extractor": "inception", "samplings": ["cond_ar"]}
        changes[f"evaluations.{name}"] = both | values
    return pipeline.changed(changes)


# The order of the images is drawn, and the subsets of KID are drawn by place.
BY_PLACE = ("kid", "kid_std")


@pytest.mark.parametrize("split", ["train", "validation"])
def test_over_a_classifier(pipeline, tmp_path, split):
    """Every number is torch-fidelity's own, and none is called FID."""
    name = f"fd-{split}"
    if name not in torch_fidelity.registry.FEATURE_EXTRACTORS_REGISTRY:
        torch_fidelity.register_feature_extractor(name, ClassifierFeatures)
    classifier = load_classifier(pipeline.card("extractors", "cnn").parent, "cpu")
    wanted = expected(pipeline, centres(pipeline, split), name, classifier=classifier.eval())
    changed = pipeline.changed({"evaluations.shapes.split": split})
    results = changed.run("evaluations", "shapes", tmp_path, each="cond_ar")["results"]
    assert results["metrics"].keys() == METRICS.keys()
    for key in METRICS.keys() - set(BY_PLACE):
        assert results["metrics"][key] == pytest.approx(wanted[key], rel=1e-5, abs=1e-9)
    count = {"train": 48, "validation": 12}[split]
    reference = results["reference"]
    assert (reference["kind"], reference["split"], reference["count"]) == ("images", split, count)
    assert results["names"]["fid"] == "FD (cnn)"


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_batches_change_nothing(pipeline, tmp_path, batch):
    """But rounding: images pass in any number at once."""
    first = pipeline.read("evaluations", "shapes", each="cond_ar")["results"]
    again = pipeline.run("evaluations", "shapes", tmp_path, each="cond_ar", batch=batch)["results"]
    assert again["count"] == first["count"] == 20
    for key, value in first["metrics"].items():
        assert again["metrics"][key] == pytest.approx(value, rel=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # torch-fidelity's own workers warn
def test_over_inception(pipeline, tmp_path, inception_weights, monkeypatch):
    """FID and IS against images and against statistics of them, under two names."""
    monkeypatch.setattr("torch.hub.download_url_to_file", None)  # nothing is fetched
    reference = centres(pipeline, "validation")
    network = FeatureExtractorInceptionV3(
        "own", ["2048"], feature_extractor_weights_path=str(inception_weights)
    )
    features = network(torch.from_numpy(reference).permute(0, 3, 1, 2))[0].numpy()
    file = tmp_path / "adm.npz"
    np.savez(file, mu=features.mean(0), sigma=np.cov(features, rowvar=False), mu_s=np.zeros(3))
    changed = with_inception(
        pipeline,
        inception_weights,
        images={"views": "pairs", "split": "validation"},
        adm={"statistics": str(file), "statistics_sha256": digest(file)},
    )
    wanted = expected(
        pipeline,
        reference,
        "inception-v3-compat",
        feature_extractor_weights_path=str(inception_weights),
    )
    given = {"each": "cond_ar", "extractor": inception_weights}
    images = changed.run("evaluations", "images", tmp_path, **given)["results"]
    for key in METRICS.keys() - set(BY_PLACE):
        assert images["metrics"][key] == pytest.approx(wanted[key], rel=1e-4)
    assert images["names"]["fid"] == "FID"
    assert images["extractor"]["digest"] == digest(inception_weights)
    card = changed.run("evaluations", "adm", tmp_path, statistics=file, **given)
    adm = card["results"]
    assert adm["metrics"].keys() == {"fid", "is", "is_std"}
    assert adm["metrics"]["fid"] == pytest.approx(wanted["fid"], rel=1e-4)
    assert adm["metrics"]["is"] == pytest.approx(wanted["is"], rel=1e-4)
    assert adm["names"] == {"fid": "FID (ADM statistics)", "is": "IS"}
    assert adm["reference"] == {"kind": "statistics", "digest": digest(file)}
    assert card["inputs"]["statistics"] == digest(file)
    assert "shards" not in card["inputs"]


@pytest.fixture
def against_statistics(pipeline, tmp_path):
    """An evaluation against statistics, the file that it names, and its command line."""
    file, weights = tmp_path / "adm.npz", tmp_path / "weights.pth"
    np.savez(file, mu=np.zeros(2048), sigma=np.eye(2048))
    weights.write_bytes(b"no weights: what is wrong is said before they are read")
    settings = {"statistics": str(file)}
    changed = with_inception(pipeline, weights, adm=settings)
    return changed, file, {"each": "cond_ar", "extractor": weights}


def test_references_cannot_be_mixed_up(pipeline, tmp_path, against_statistics):
    """Images where the settings say statistics, and the other way round, and both at once."""
    changed, file, given = against_statistics
    out = tmp_path / "out"
    shards = changed.card("data", "shapes")
    for flags in ({"shards": shards}, {"shards": shards, "statistics": file}, {}):
        error = changed.call("evaluations", "adm", out, **given, **flags).error
        assert "compare with published statistics: give --statistics, and not --shards" in error
    error = pipeline.call("evaluations", "shapes", out, each="cond_ar", statistics=file).error
    assert "compare with images: give --shards, and not --statistics" in error
    assert not list(out.rglob("*.json"))


def test_other_statistics_than_configured(tmp_path, against_statistics):
    """Another file under the old name, and images that pass for statistics."""
    changed, file, given = against_statistics
    settings = changed.settings("evaluations", "adm", given["each"])
    np.savez(file, mu=np.ones(2048), sigma=np.eye(2048))
    error = changed.call(
        "evaluations", "adm", tmp_path / "out", statistics=file, settings=settings, **given
    ).error
    assert re.search(r"the statistics .*adm\.npz have the SHA-256", error)
    images = changed.card("samples", "cond_ar").parent / "samples.npz"
    shutil.copy(images, file)
    settings = {"evaluations.adm.statistics_sha256": digest(file)}
    error = (
        changed.changed(settings)
        .call("evaluations", "adm", tmp_path / "out", statistics=file, **given)
        .error
    )
    assert "these are images, which belong under `views`" in error


def test_samples_of_another_size(pipeline, tmp_path):
    """Said before anything is extracted."""
    card = pipeline.copy("samples", "cond_ar", tmp_path / "in")
    np.savez(card.parent / "samples.npz", np.zeros((20, 16, 24, 3), np.uint8))
    pipeline.stamp(card)
    error = pipeline.call(
        "evaluations", "shapes", tmp_path / "out", each="cond_ar", samples=card
    ).error
    assert "samples are 24x16 but the reference images 32x32: bring both to one size" in error


def test_published_models_are_said_so():
    """Nobody knows whether their weights were averaged."""
    trained = {"stage": "stage1", "settings": {"training": {"ema": None}}}
    averaged = {"stage": "stage2", "settings": {"training": {"ema": 0.99}}}
    published = {"stage": "published", "settings": {"kind": "published"}}
    assert evaluation.weights_of({"stage1": published, "stage2": published}) == "published"
    assert evaluation.weights_of({"stage1": published, "stage2": averaged}) == "mixed"
    assert evaluation.weights_of({"stage1": trained}) == "raw"
