"""A wrong or damaged input: status 1 and one sentence with place and cure, before any compute."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tessera.config import guard, lock
from tessera.config.load import load
from tessera.config.resolve import config_digest
from tessera.io.parts import read_part, write_part


@pytest.fixture
def out(tmp_path) -> Path:
    """Where the stage that must fail would write."""
    return tmp_path / "out"


@pytest.fixture
def inputs(tmp_path) -> Path:
    """Where inputs are doctored."""
    return tmp_path / "inputs"


def rewrite(card: Path, **changes) -> Path:
    """Replaces arrays of the part beside a card, and vouches for the new file."""
    file = card.with_suffix(".zarr.zip")
    arrays, attributes = read_part(file)
    file.unlink()
    write_part(file, arrays | changes, attributes)
    return card


def refuse(pipeline, out: Path, section: str, name: str, *words: str, **options) -> None:
    """Runs a stage that must fail with a sentence in which the words come, and write nothing."""
    error = pipeline.call(section, name, out, **options).error
    for word in words:
        assert re.search(word, error), error
    assert not [path for path in out.rglob("*") if path.is_file()]


STAGES = [
    ("encoders", "vit", "shards", {}),
    ("autoencoders", "vqgan", "shards", {}),
    ("extractors", "cnn", "shards", {}),
    ("features", "vit", "shards", {}),
    ("features", "vit", "encoder", {}),
    ("codebooks", "k8", "features", {}),
    ("tokens", "semantic", "shards", {}),
    ("tokens", "semantic", "tokenizer", {}),
    ("tokens", "codes", "tokenizer", {}),
    ("usage", "semantic", "tokens", {}),
    ("stage1", "cond", "tokens", {}),
    ("stage1", "cond", "validation", {}),
    ("stage2", "ar", "semantic", {}),
    ("stage2", "ar", "validation_codes", {}),
    ("samplings", "cond_ar", "models", {}),
    ("samples", "cond_ar", "parts", {}),
    ("evaluations", "shapes", "samples", {"each": "cond_ar"}),
    ("evaluations", "shapes", "extractor", {"each": "cond_ar"}),
    ("neighbours", "shapes", "samples", {"each": "cond_ar"}),
    ("neighbours", "shapes", "shards", {"each": "cond_ar"}),
    ("neighbours", "shapes", "extractor", {"each": "cond_ar"}),
    ("reconstructions", "vqgan", "shards", {}),
    ("reconstructions", "vqgan", "autoencoder", {}),
    ("reconstructions", "vqgan", "extractor", {}),
    ("probes", "linear", "model", {"each": "uncond"}),
    ("probes", "linear", "tokens", {"each": "uncond"}),
    ("stabilities", "noise", "tokenizers", {}),
    ("patches", "semantic", "shards", {}),
    ("patches", "semantic", "tokens", {}),
]
IDS = [f"{section}-{flag}" for section, _, flag, _ in STAGES]


@pytest.mark.parametrize(("section", "name", "flag", "which"), STAGES, ids=IDS)
def test_a_card_of_another_stage(pipeline, out, section, name, flag, which):
    """Paths that were mixed up."""
    wrong = pipeline.card("stabilities", "noise")
    if section == "stabilities":
        wrong = pipeline.card("extractors", "cnn")
    words = [re.escape(str(wrong)), "check the paths|run its stage"]
    refuse(pipeline, out, section, name, *words, **which, **{flag: wrong})


@pytest.mark.parametrize(("section", "name", "flag", "which"), STAGES, ids=IDS)
def test_a_card_that_is_not_there(pipeline, out, tmp_path, section, name, flag, which):
    """A path that was mistyped."""
    options = {flag: tmp_path / "nowhere.json"}
    words = [r"nowhere\.json does not exist", "run the stage"]
    refuse(pipeline, out, section, name, *words, **which, **options)


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "word"),
    [(truncate, "truncated"), (flip, "damaged"), (Path.unlink, "missing")],
    ids=["truncated", "a flipped bit", "missing"],
)
@pytest.mark.parametrize(
    ("user", "flag", "source", "file"),
    [
        (("stage1", "cond"), "tokens", ("tokens", "semantic"), "part-0000-of-0001.zarr.zip"),
        (("stage1", "cond"), "validation", ("tokens", "semantic"), "part-0000-of-0001.zarr.zip"),
        (("codebooks", "k8"), "features", ("features", "vit"), "part-0000-of-0001.zarr.zip"),
        (("features", "vit"), "encoder", ("encoders", "vit"), "model.safetensors"),
        (("samples", "vq"), "parts", ("samplings", "vq"), "part-0000-of-0001.zarr.zip"),
        (("encoders", "vit"), "shards", ("data", "shapes"), "index.json"),
    ],
    ids=lambda value: value if isinstance(value, str) else "/".join(value),
)
def test_a_damaged_file(pipeline, out, inputs, user, flag, source, file, damage, word):
    """What a full disk, a bad cable or a tidy colleague leaves."""
    split = "validation" if flag == "validation" else "train"
    card = pipeline.copy(*source, inputs, split=split)
    damage(card.parent / file)
    refuse(pipeline, out, *user, re.escape(file), word, "run `tessera repair`", **{flag: card})


@pytest.mark.parametrize("damage", [truncate, Path.unlink], ids=["truncated", "missing"])
def test_a_damaged_shard(pipeline, out, inputs, damage):
    """Shards are not hashed in each job, yet what is cut off is noticed."""
    card = pipeline.copy("data", "shapes", inputs)
    damage(card.parent / "train-00001-of-00003.tar")
    refuse(pipeline, out, "encoders", "vit", r"train-00001-of-00003\.tar", "run", shards=card)


def test_a_card_that_is_no_card(pipeline, out, inputs):
    """Half a JSON file."""
    card = pipeline.copy("data", "shapes", inputs)
    truncate(card)
    refuse(pipeline, out, "encoders", "vit", r"card\.json is no valid JSON", "run", shards=card)


def test_centroids_of_another_width(pipeline, out, inputs):
    """A codebook of another encoder's features."""
    card = pipeline.copy("codebooks", "k8", inputs)
    np.save(card.parent / "centroids.npy", np.zeros((8, 17), np.float32))
    pipeline.stamp(card)
    tokenizer = [card, pipeline.card("encoders", "vit")]
    words = [r"centroids\.npy has the shape \(8, 17\)", "16 channels", "name the encoder"]
    refuse(pipeline, out, "tokens", "semantic", *words, tokenizer=tokenizer)


def test_other_centroids_than_the_config_says(pipeline, out, inputs):
    """A codebook that was replaced by hand."""
    card = pipeline.copy("codebooks", "k8", inputs)
    np.save(card.parent / "centroids.npy", np.zeros((9, 16), np.float32))
    pipeline.stamp(card)
    tokenizer = [card, pipeline.card("encoders", "vit")]
    words = ["9 centroids", "config says 8", "again"]
    refuse(pipeline, out, "tokens", "semantic", *words, tokenizer=tokenizer)


def pretend(pipeline, inputs: Path, section: str, name: str, other: str) -> Path:
    """A variant's card with the model of another one beside it."""
    card = pipeline.copy(section, name, inputs)
    for file in ("model.json", "model.safetensors"):
        shutil.copy(pipeline.card(section, other).parent / file, card.parent)
    return pipeline.stamp(card)


def test_models_of_other_vocabularies(pipeline, out, inputs):
    """Stage 1 draws tokens that stage 2 does not read."""
    card = pretend(pipeline, inputs, "stage1", "cond", "vq")
    models = [card, pipeline.card("stage2", "ar"), pipeline.card("autoencoders", "vqgan")]
    words = ["stage 1 draws 16 tokens of 16, stage 2 reads 16 of 8", "one codebook"]
    refuse(pipeline, out, "samplings", "cond_ar", *words, models=models)


def test_codes_of_another_autoencoder(pipeline, out, inputs):
    """The last model draws codes that the autoencoder has not."""
    card = pretend(pipeline, inputs, "stage1", "vq", "cond")
    models = [card, pipeline.card("autoencoders", "vqgan")]
    words = ["16 codes of 8 are drawn", "paints 16 of 16", "sample with"]
    refuse(pipeline, out, "samplings", "vq", *words, models=models)


def test_a_model_of_another_kind(pipeline, out, inputs):
    """A masked decoder where an autoregressive one belongs."""
    card = pipeline.copy("stage1", "uncond", inputs)
    for file in ("model.json", "model.safetensors"):
        shutil.copy(pipeline.card("stage2", "nar").parent / file, card.parent)
    models = [pipeline.stamp(card), pipeline.card("stage2", "nar")]
    models.append(pipeline.card("autoencoders", "vqgan"))
    words = ["'MaskGIT' where a 'GPT' is needed", "check"]
    refuse(pipeline, out, "samplings", "uncond_nar", *words, models=models)


def test_tokens_of_other_views(pipeline, out):
    """Equal in shape and classes, but of other crops: nothing but the cards tells."""
    other = pipeline.card("tokens", "other")
    words = [re.escape(str(other)), "other settings", "right variant"]
    refuse(pipeline, out, "stage2", "ar", *words, semantic=other)
    refuse(pipeline, out, "stage1", "cond", *words, tokens=other)


@pytest.mark.parametrize("flag", ["semantic", "validation_semantic"])
def test_token_sets_that_do_not_pair(pipeline, out, inputs, flag):
    """One set has fewer images than the other."""
    split = "validation" if "validation" in flag else "train"
    card = pipeline.copy("tokens", "semantic", inputs, split=split)
    arrays, _ = read_part(card.with_suffix(".zarr.zip"))
    order = np.argsort(arrays["number"])  # the images 0 … 8, none missing
    rewrite(card, **{name: array[order][:9] for name, array in arrays.items()})
    words = ["semantic tokens hold \\(9, ", "same `views`"]
    refuse(pipeline, out, "stage2", "ar", *words, **{flag: pipeline.stamp(card)})


def test_fewer_points_than_clusters(pipeline, out, inputs):
    """The sample came out smaller than asked for."""
    card = pipeline.copy("features", "vit", inputs)
    arrays, _ = read_part(card.with_suffix(".zarr.zip"))
    pipeline.stamp(rewrite(card, **{name: array[:7] for name, array in arrays.items()}))
    words = ["k8: 7 feature points are fewer than 8 clusters", "raise `points`"]
    refuse(pipeline, out, "codebooks", "k8", *words, features=card)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_no_numbers(pipeline, out, inputs, value):
    """K-Means would spread one NaN over all centroids; the sentence says where it is."""
    card = pipeline.copy("features", "vit", inputs)
    arrays, _ = read_part(card.with_suffix(".zarr.zip"))
    row = int(np.argsort(arrays["place"])[5])
    arrays["features"][row, 3] = value
    pipeline.stamp(rewrite(card, features=arrays["features"]))
    words = ["NaN or infinity in 1 of", "point 5, channel 3", "check the encoder"]
    refuse(pipeline, out, "codebooks", "k8", *words, features=card)


def test_fewer_samples_than_the_config_says(pipeline, out, inputs):
    """A part that was cut and vouched for."""
    card = pipeline.copy("samplings", "cond_ar", inputs)
    arrays, _ = read_part(card.with_suffix(".zarr.zip"))
    pipeline.stamp(rewrite(card, **{name: array[:7] for name, array in arrays.items()}))
    words = ["parts of cond_ar hold 7 images, the config says 20", "run again"]
    refuse(pipeline, out, "samples", "cond_ar", *words, parts=[card])


def test_features_given_twice(pipeline, out):
    """The same part under two names on the command line."""
    card = pipeline.card("features", "vit")
    words = ["are not all parts of one set", "give the card of each part once"]
    refuse(pipeline, out, "codebooks", "k8", *words, features=[card, card])


def test_tokens_given_twice(pipeline, out):
    """Half of the images would be seen twice an epoch."""
    card = pipeline.card("tokens", "semantic")
    words = ["are not all parts of one set", "give the card of each part once"]
    refuse(pipeline, out, "stage1", "cond", *words, tokens=[card, card])


@pytest.fixture
def inception(pipeline, tmp_path) -> dict[str, Any]:
    """An evaluation by Inception whose weights, at the launch, held something."""
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"something")
    changed = pipeline.changed({"extractors.cnn": {"kind": "inception", "weights": str(weights)}})
    settings = changed.settings("evaluations", "shapes", "cond_ar")
    return {"each": "cond_ar", "extractor": weights, "settings": settings}


def test_inception_that_is_not_there(pipeline, out, inception):
    """Nothing is downloaded behind the user's back."""
    inception["extractor"].unlink()
    words = [re.escape(str(inception["extractor"])), "do not exist", "put"]
    refuse(pipeline, out, "evaluations", "shapes", *words, **inception)


def test_other_weights_than_at_the_launch(pipeline, out, inception):
    """A distance by another network would not be FID."""
    inception["extractor"].write_bytes(b"something else")
    digest = "3fc9b689459d738f8c88a3a48aa9e33542016b7a4052e001aaa536fca74813cb"
    words = ["have the SHA-256", f"the config says {digest}"]
    refuse(pipeline, out, "evaluations", "shapes", *words, **inception)


def test_weights_that_are_none(pipeline, out, inception):
    """The right digest of a wrong file."""
    words = ["does not hold", "again"]
    refuse(pipeline, out, "evaluations", "shapes", *words, **inception)


def test_a_probe_of_a_conditional_model(pipeline, out):
    """Given the class, its hidden states hold the label itself."""
    node = json.loads(pipeline.settings("probes", "linear", "uncond"))
    node["inputs"]["stage1"] = json.loads(pipeline.settings("stage1", "cond"))
    model = pipeline.card("stage1", "cond")
    options = {"each": "uncond", "settings": json.dumps(node), "model": model}
    refuse(pipeline, out, "probes", "linear", "given the class", "unconditional", **options)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("not JSON", ["--settings is not the JSON", "tessera settings"]),
        ("[1]", ["--settings is not the JSON", "tessera settings"]),
        ("{}", ["--settings is not the JSON", "tessera settings"]),
    ],
)
def test_settings_that_are_none(pipeline, out, settings, words):
    """Typed by hand."""
    refuse(pipeline, out, "codebooks", "k8", *words, settings=settings)


def test_settings_of_another_stage(pipeline, out):
    """Copied from another rule."""
    settings = pipeline.settings("features", "vit")
    words = ["for the stage 'features', this is 'codebook'"]
    refuse(pipeline, out, "codebooks", "k8", *words, settings=settings)


def test_settings_of_another_version(pipeline, out, monkeypatch):
    """The code was updated while the job waited in a queue."""
    settings = pipeline.settings("codebooks", "k8")
    later = lock.stage_versions() | {"codebook": lock.stage_versions()["codebook"] + 1}
    monkeypatch.setattr("tessera.stages.job.stage_versions", lambda: later)
    words = [r"version \d+ of codebook, the code is of version \d+", "launch"]
    refuse(pipeline, out, "codebooks", "k8", *words, settings=settings)


def test_no_gpu(pipeline, out, monkeypatch):
    """Asked for, not there: not a slow run on the CPU instead."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    refuse(pipeline, out, "encoders", "vit", "no GPU is usable", "--device cpu", device="cuda")


def test_the_config_changed(pipeline, out, tmp_path, monkeypatch):
    """Edited while jobs wait: a job would train with other settings than are recorded."""
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps(pipeline.raw))
    record = {"files": [str(file)], "digest": config_digest(load([file]))}
    monkeypatch.setenv(guard.VARIABLE, json.dumps(record))
    pipeline.run("codebooks", "k8", tmp_path / "first")
    file.write_text(json.dumps(pipeline.changed({"codebooks.k8.clusters": 9}).raw))
    words = [re.escape(str(file)), "something else", "put it back"]
    refuse(pipeline, out, "codebooks", "k8", *words)
