"""A finished run in a temporary folder: cards as the stages write them, numbers made up."""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tessera.config.canonical import canonical_json
from tessera.config.jobs import node_of
from tessera.config.load import validate
from tessera.config.paths import Paths
from tessera.config.resolve import node, stage_node
from tessera.config.schema import Config
from tessera.io.cards import write_card
from tessera.report.collection import Collection, collect, labels_of
from tessera.stages import figures

SHAPE = {"width": 16, "layers": 2, "heads": 2}
TRAINING = {"steps": 100, "batch": 8}
RAW: dict[str, Any] = {
    "data": {"digits": {"kind": "digits"}},
    "views": {"digits": {"data": "digits", "crop": 32}},
    "encoders": {
        "dino": {
            "kind": "trained",
            "data": "digits",
            "model": {"image_size": 32, "patch_size": 8, "width": 16, "depth": 1, "heads": 2},
            "training": TRAINING | {"global_views": {"size": 32}},
        }
    },
    "features": {"dino": {"views": "digits", "encoder": "dino", "points": 1000}},
    "codebooks": {
        "k4": {"features": "dino", "clusters": 4, "seed": 77},
        "k8": {"extends": "k4", "clusters": 8},
    },
    "autoencoders": {
        "vqgan": {
            "label": "VQGAN",
            "kind": "trained",
            "views": "digits",
            "model": {
                "resolution": 32,
                "channels": 32,
                "multipliers": [1, 1],
                "residual_blocks": 1,
                "codes": 4,
                "code_width": 8,
            },
            "training": TRAINING,
        }
    },
    "tokens": {
        "semantic": {"views": "digits", "codebook": "k4"},
        "codes": {"views": "digits", "autoencoder": "vqgan"},
        "semantic8": {"views": "digits", "codebook": "k8"},
    },
    "stage1": {
        "gpt": {
            "label": "100 % A_B & C",
            "tokens": "semantic",
            "class_conditional": True,
            "model": SHAPE,
            "training": TRAINING | {"seed": 5},
        },
        "vq": {"extends": "gpt", "tokens": "codes", "class_conditional": False},
        "free": {"extends": "gpt", "class_conditional": False},
        "free8": {"extends": "free", "tokens": "semantic8"},
    },
    "stage2": {
        "ar": {
            "semantic": "semantic",
            "codes": "codes",
            "kind": "autoregressive",
            "model": SHAPE,
            "training": TRAINING | {"steps": 200},
        },
        "nar": {"extends": "ar", "kind": "masked"},
    },
    "samplings": {
        "cond_ar": {
            "label": "50 % noise_1 & more",
            "stage1": "gpt",
            "stage2": "ar",
            "count": 1000,
            "seed": 9,
            "semantic": {"top_k": 100},
            "codes": {"top_p": 0.8},
        },
        "cond_nar": {"extends": "cond_ar", "stage2": "nar"},
        "vq": {"stage1": "vq", "count": 1000},
    },
    "extractors": {"cnn": {"kind": "classifier", "data": "digits", "image_size": 32}},
    "evaluations": {
        "digits": {
            "extractor": "cnn",
            "views": "digits",
            "samplings": ["cond_ar", "cond_nar", "vq"],
        }
    },
    "neighbours": {
        "training": {"extractor": "cnn", "views": "digits", "samplings": ["cond_ar", "vq"]}
    },
    "reconstructions": {
        "vqgan": {"autoencoder": "vqgan", "views": "digits", "extractor": "cnn"},
    },
    "probes": {"linear": {"stage1": ["free", "vq", "free8"]}},
    "stabilities": {"noise": {"views": "digits", "codebooks": ["k4"], "autoencoders": ["vqgan"]}},
    "projections": {"toy": {"seeds": [7, 8]}},
    "execution": {"tokens": {"parts": 2}},
}

SWEPT = copy.deepcopy(RAW)
"""The same with sweeps over how codes are drawn, and with an ablation: what all figures need."""
SWEPT["samplings"] |= {
    "keep": {
        "extends": "cond_ar",
        "label": "stage 1",
        "sweep": {"semantic.top_k": [5, 20, None], "seed": [1, 2]},
    },
    "mass": {"extends": "cond_ar", "sweep": {"codes.top_p": [0.4, 0.9]}},
    "other": {"extends": "cond_ar", "sweep": [{"semantic.top_p": 0.5}, {"codes.top_k": 9}]},
}
SWEPT["evaluations"]["digits"]["samplings"] += ["keep", "mass", "other"]
SWEPT["paper"] = {
    "ablation": {
        "evaluation": "digits",
        "rows": [{"sampling": "vq", "label": "VQ tokens"}, {"sampling": "cond_nar"}],
    }
}

PARAMETERS = {"gpt": 11_111, "vq": 12_345, "free": 11_100, "ar": 22_222, "nar": 33_333}
METRICS = {
    "cond_ar": {
        "fid": 3.0625,
        "is": 8.5,
        "is_std": 0.25,
        "kid": 0.015625,
        "kid_std": 0.001953125,
        "precision": 0.75,
        "recall": 0.5,
    },
    "cond_nar": {
        "fid": 2.03125,
        "is": 8.0,
        "is_std": 0.5,
        "kid": 0.0078125,
        "kid_std": 0.0009765625,
        "precision": 0.625,
        "recall": 0.625,
    },
    "vq": {
        "fid": 9.123456789012345,
        "is": 4.0,
        "is_std": 0.5,
        "kid": 0.25,
        "kid_std": 0.03125,
        "precision": 0.75,
        "recall": 0.125,
    },
}
NAMES = {
    "fid": "FD (cnn)",
    "is": "classifier score (cnn)",
    "kid": "KD (cnn)",
    "precision": "Precision (cnn)",
    "recall": "Recall (cnn)",
}


class FakeRun:
    """Writes cards of a config into `<folder>/results`."""

    def __init__(self, folder: Path, raw: Mapping[str, Any] = RAW) -> None:
        self.raw = raw
        self.config: Config = validate(raw)
        self.paths = Paths(self.config)
        self.folder, self.results = folder, folder / "results"
        self.files: list[Path] = []

    def card(
        self, path: str, made: dict[str, Any], results: dict[str, Any], seconds: float = 2.0
    ) -> Path:
        """Writes one card, by its path from the folder above the results."""
        file = self.folder / path
        run = {"seconds": seconds, "peak_memory_mb": 512.5, "device": "cpu", "threads": 1}
        write_card(file, made, {}, [], results, run)
        self.files.append(file)
        return file

    def node(self, section: str, name: str, each: str | None = None) -> dict[str, Any]:
        """What a job of the run is made of."""
        return node(self.config, section, name, each)

    def training(self, section: str, name: str, **results: Any) -> None:
        """A training's card and the log beside it."""
        steps = 200 if section == "stage2" else 100
        made = {
            "parameters": PARAMETERS.get(name, 1000),
            "steps": steps,
            "batch": 8,
            "images_seen": steps * 8,
            "final": {"loss": 1.5, "learning_rate": 1e-3},
            "validation": {"loss": 1.25},
        } | results
        file = self.card(self.paths.card(section, name), node(self.config, section, name), made)
        lines = [
            {"step": step, "loss": 5 - step / 50, "validation_loss": 5.1 - step / 50}
            for step in range(0, steps + 1, 20)
        ]
        if section == "autoencoders":
            lines = [{"step": line["step"], "l1": line["loss"] / 100} for line in lines]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (file.parent / "metrics.jsonl").write_text(text)

    def trainings(self) -> None:
        """All trainings."""
        self.training("encoders", "dino", validation={})
        self.training("autoencoders", "vqgan", validation={"psnr": 21.5, "l1": 0.0625})
        self.training("extractors", "cnn", validation={"accuracy": 0.96875})
        for section in ("stage1", "stage2"):
            for name in getattr(self.config, section):
                self.training(section, name)

    def tokenizers(self) -> None:
        """Shards, features, codebook and token parts."""
        config = self.config
        self.card(
            self.paths.card("data", "digits"),
            node(config, "data", "digits"),
            {"classes": 10, "train_images": 100, "validation_images": 20},
        )
        (part,) = self.paths.cards("features", "dino")
        self.card(part, node(config, "features", "dino"), {"points": 1000, "width": 16})
        for name in config.codebooks:
            self.card(
                self.paths.card("codebooks", name),
                node(config, "codebooks", name),
                {
                    "clusters": config.codebooks[name].clusters,
                    "width": 16,
                    "points": 1000,
                    "objective": [2000.5, 1500.25, 1400.125],
                    "empty": 1,
                    "tiny": 2,
                    "used": 3,
                    "entropy_bits": 1.375,
                    "counts": [10, 0, 30, 960],
                },
            )
        for name, tokens in config.tokens.items():
            kind = "autoencoder" if tokens.codebook is None else "codebook"
            for part, counts in zip(
                self.paths.cards("tokens", name), ([2, 0, 1, 1], [2, 0, 1, 1]), strict=True
            ):
                facts = {
                    "images": 4,
                    "split": "train",
                    "vocabulary": 4,
                    "kind": kind,
                    "grid": [4, 2],
                }
                made = node(config, "tokens", name)
                self.card(part, made, facts | {"histogram": counts}, seconds=0.5)

    def usages(self) -> None:
        """How both token sets use their vocabularies."""
        for name, tokens in self.config.tokens.items():
            kind = "autoencoder" if tokens.codebook is None else "codebook"
            results = {
                "codes": 8,
                "used": 3,
                "dead": 1,
                "entropy_bits": 1.5,
                "perplexity": 2.8284271247461903,
                "class_entropy_bits": 1.125,
                "class_information_bits": 0.375,
                "vocabulary": 4,
                "classes": 10,
                "images": 8,
                "views": 1,
                "kind": kind,
            }
            made = stage_node("usage", {"tokens": node(self.config, "tokens", name)})
            card = self.card(self.paths.card("usage", name), made, results)
            np.savez(card.parent / "histograms.npz", codes=np.array([4, 0, 2, 2]))

    def evaluation(self, name: str, sampling: str, **changes: Any) -> None:
        """One evaluation's card."""
        results = {
            "extractor": {"name": "cnn", "kind": "classifier", "digest": "e" * 64},
            "reference": {"split": "train", "count": 1437, "digest": "r" * 64},
            "count": 1000,
            "weights": "raw",
            "metrics": self.metrics(sampling),
            "names": NAMES,
        } | changes
        made = node(self.config, "evaluations", "digits", sampling)
        self.card(self.paths.pair("evaluations", name, sampling), made, results, seconds=1.0)

    def metrics(self, sampling: str) -> dict[str, float]:
        """The numbers of a sample set; a swept one's distances grow from point to point."""
        if sampling in METRICS:
            return METRICS[sampling]
        points = list(self.config.points.get("samplings", ()))
        place = points.index(sampling) if sampling in points else 0
        return METRICS["cond_ar"] | {"fid": 1 + place / 4, "is": 9 - place / 4}

    def evaluations(self) -> None:
        """The evaluation of each sample set."""
        for sampling in self.config.samplings:
            self.evaluation("digits", sampling)

    def neighbours(self, **changes: Any) -> None:
        """The cards of both searches."""
        results = {
            "extractor": {"name": "cnn", "kind": "classifier", "digest": "e" * 64},
            "reference": {"kind": "images", "split": "train", "count": 1437, "digest": "r" * 64},
            "metric": "euclidean",
            "count": 1000,
            "samples": {"p0": 0.25, "p1": 0.5, "p50": 1.25, "copies": 2},
            "validation": {"p0": 0.375, "p1": 0.75, "p50": 1.125, "count": 360, "copies": 0},
            "near": {"distance": 0.75, "share": 0.03125},
            "copies": [5, 17],
            "shown": {"first": [{"sample": 0, "numbers": [3], "distances": [1.5]}], "nearest": []},
        } | changes
        for sampling in self.config.neighbours["training"].samplings:
            made = node(self.config, "neighbours", "training", sampling)
            self.card(self.paths.pair("neighbours", "training", sampling), made, results)

    def reconstruction(self, name: str = "vqgan", **changes: Any) -> None:
        """One reconstruction's card."""
        results = {
            "extractor": {"name": "cnn", "kind": "classifier", "digest": "e" * 64},
            "reference": {
                "kind": "images", "split": "validation", "count": 360, "digest": "r" * 64
            },
            "count": 360,
            "metrics": {"fid": 0.5625, "psnr_db": 21.125},
            "names": {"fid": "rFD (cnn)", "psnr_db": "PSNR"},
        } | changes  # fmt: skip
        made = node(self.config, "reconstructions", "vqgan")
        self.card(self.paths.card("reconstructions", name), made, results)

    def probes(self) -> None:
        """The probes."""
        for name, accuracies in (
            ("free", [0.25, 0.875, 0.5]),
            ("vq", [0.125, 0.375, 0.75]),
            ("free8", [0.25, 0.5, 0.625]),
        ):
            layers = [
                {"layer": layer, "top1": value, "top5": min(1.0, value + 0.0625)}
                for layer, value in enumerate(accuracies)
            ]
            best = accuracies.index(max(accuracies))
            results = {"layers": layers, "best_layer": best, "top1": accuracies[best]}
            made = node(self.config, "probes", "linear", name)
            self.card(self.paths.pair("probes", "linear", name), made, results)

    def stability(self) -> None:
        """The stability of both tokenizers at three levels."""
        rows = [
            {
                "tokenizer": name,
                "kind": kind,
                "snr_db": level,
                "changed_mean": changed,
                "changed_std": 0.03125,
                "cosine_mean": 1 - changed / 2,
                "cosine_std": 0.015625,
            }
            for name, kind, factor in (("k4", "codebook", 1), ("vqgan", "autoencoder", 3))
            for level, changed in (
                (30.0, 0.0625 * factor),
                (10.0, 0.25 * factor),
                (0.01, 0.3125 * factor),
            )
        ]
        made = node(self.config, "stabilities", "noise")
        self.card(
            self.paths.card("stabilities", "noise"),
            made,
            {"images": 360, "seeds": [0, 1, 2], "rows": rows},
        )

    def toy(self, name: str = "toy") -> None:
        """PCA against LDA at three levels of noise, and eight points."""
        directions = {
            "pca": {"direction": [1.0, 0.0], "threshold": 0.25},
            "lda": {"direction": [0.0, 1.0], "threshold": -0.125},
        }
        rows = [
            {
                "projection": method,
                "noise_std": level,
                "accuracy_mean": start - level / 16,
                "accuracy_std": 0.03125,
                "expected_accuracy": start - level / 16 + 0.0078125,
            }
            for method, start in (("pca", 0.625), ("lda", 0.96875))
            for level in (0.0, 1.0, 2.0)
        ]
        results = {"samples": 4, "dimensions": 2, "seeds": [7, 8]}
        results |= {"directions": directions, "rows": rows}
        made = node(self.config, "projections", "toy")
        card = self.card(self.paths.card("projections", name), made, results)
        labels = np.repeat([0, 1], 4)
        points = np.stack([np.arange(8) % 4 * 2.0, 2.0 * labels - 1], axis=1)
        noise = np.array([[0.5, -0.5]] * 8)
        np.savez(card.parent / "points.npz", points=points, labels=labels, noise=noise)

    def all(self) -> "FakeRun":
        """Everything."""
        for write in (
            self.tokenizers,
            self.usages,
            self.trainings,
            self.evaluations,
            self.neighbours,
            self.reconstruction,
            self.probes,
            self.stability,
            self.toy,
        ):
            write()
        return self

    def command(self, stage: str, *more: str) -> list[str]:
        """The command line of a stage, as its rule gives it: of parts only the first."""
        cards = [str(file) for file in self.files if "part-0001" not in file.name]
        settings = canonical_json(node_of(self.config, stage, "", "", None))
        card = str(self.results / stage / "card.json")
        return ["--settings", settings, "--cards", *cards, "--card", card, *more]

    def collection(self) -> Collection:
        """What tables and figures are made from."""
        config = self.config
        return collect(self.files, self.results, labels_of(config), config.points, config.paper)


@pytest.fixture
def fake_run(tmp_path) -> FakeRun:
    """A run of which no stage is finished: a test writes the cards that it needs."""
    return FakeRun(tmp_path)


@pytest.fixture
def finished(fake_run) -> FakeRun:
    """A run of which all stages are finished."""
    return fake_run.all()


@pytest.fixture(scope="session")
def figured(tmp_path_factory) -> FakeRun:
    """A finished run with its figures; tests must leave it as it is."""
    run = FakeRun(tmp_path_factory.mktemp("figured"), SWEPT).all()
    config = run.folder / "config.json"  # JSON is YAML
    config.write_text(json.dumps(run.raw))
    assert figures.main(run.command("figures", "--config", str(config))) == 0
    return run
