"""Single edits of a finished experiment, each with the jobs that it makes run again.

An edit acts on the folder of a workflow whose jobs have all run (tests/workflow/config.yaml).
Beside the jobs stands what `tessera explain` has to say about it.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tests.workflow.expected import (
    DIGITS,
    EVALUATIONS,
    PAPER,
    SHAPES,
    TOKENS,
    TOY,
    TRAININGS,
    below,
    jobs_of,
)

from tessera.config.lock import read_lock, write_lock
from tessera.config.schema import stages
from tessera.decisions import record
from tessera.fingerprint import Package

Config = dict[str, Any]
Edit = Callable[[Path], object]
"""Changes something in the folder of a workflow."""

NOTHING = "Nothing would run"


@dataclass(frozen=True)
class Row:
    """An edit and what follows from it.

    Attributes:
        edit: the edit.
        jobs: the jobs that run again.
        words: what the explanation says, among other things.
    """

    edit: Edit
    jobs: set[str]
    words: str = NOTHING


# ------------------------------------------------------------------------------- kinds of edits


def config(*changes: Callable[[Config], object]) -> Edit:
    """Changes the settings of config.yaml."""

    def edit(folder: Path) -> None:
        path = folder / "config.yaml"
        settings = yaml.safe_load(path.read_text())
        for change in changes:
            change(settings)
        path.write_text(yaml.safe_dump(settings, sort_keys=False))

    return edit


def put(path: str, value: Any) -> Callable[[Config], None]:
    """Sets one value, given by the path of its keys."""
    *parents, last = path.split(".")

    def change(settings: Config) -> None:
        for key in parents:
            settings = settings.setdefault(key, {})
        settings[last] = value

    return change


def setting(path: str, value: Any) -> Edit:
    """Sets one value of config.yaml."""
    return config(put(path, value))


def swap(variant: str, one: str, other: str) -> Edit:
    """Exchanges the values of two settings."""

    def change(settings: Config) -> None:
        for key in variant.split("."):
            settings = settings[key]
        settings[one], settings[other] = settings[other], settings[one]

    return config(change)


def remove(path: str) -> Callable[[Config], None]:
    """Removes a variant, or an entry of a list."""
    *parents, last = path.split(".")

    def change(settings: Config) -> None:
        place: Any = settings
        for key in parents:
            place = place[key]
        if isinstance(place, list):
            place.remove(last)
        else:
            del place[last]

    return change


def rename(section: str, old: str, new: str) -> Callable[[Config], None]:
    """Gives a variant another name, in its place."""

    def change(settings: Config) -> None:
        variants = settings[section]
        settings[section] = {new if name == old else name: variants[name] for name in variants}

    return change


def append(path: str, entry: str) -> Callable[[Config], None]:
    """Appends to a list."""

    def change(settings: Config) -> None:
        place: Any = settings
        for key in path.split("."):
            place = place[key]
        place.append(entry)

    return change


def reorder(settings: Config) -> None:
    """The same settings, all keys in the opposite order."""

    def reverse(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: reverse(value[key]) for key in reversed(value)}
        return value

    reversed_settings = reverse(dict(settings))
    settings.clear()
    settings.update(reversed_settings)


def label_all(settings: Config) -> None:
    for section, variants in settings.items():
        if isinstance(variants, dict) and section != "execution":
            for name, variant in variants.items():
                variant["label"] = f"The {name}"


def replace(file: str, old: str, new: str) -> Edit:
    """Replaces text of a file."""

    def edit(folder: Path) -> None:
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, new))

    return edit


def write(file: str, text: str) -> Edit:
    """Writes a file, which may be there already."""
    return lambda folder: (folder / file).write_text(text)


def copy(file: str, to: str) -> Edit:
    return lambda folder: shutil.copy(folder / file, folder / to)


def delete(*files: str) -> Edit:
    def edit(folder: Path) -> None:
        for file in files:
            (folder / file).unlink()

    return edit


def touch(file: str) -> Edit:
    """Sets a file's time of change to now."""
    return lambda folder: os.utime(folder / file)


def both(*edits: Edit) -> Edit:
    def edit(folder: Path) -> None:
        for one in edits:
            one(folder)

    return edit


def bump(stage: str) -> Edit:
    """Raises a stage's version in the lock that the tests use."""

    def edit(_: Path) -> None:
        locked = read_lock()
        write_lock(locked | {stage: locked[stage] | {"version": locked[stage]["version"] + 1}})

    return edit


def accept_all(_: Path) -> None:
    """Decides that the results of no stage differ."""
    write_lock(record(Package(), read_lock(), accept=stages()))


# ------------------------------------------------------------------------------------- the table

STAGE1, STAGE2 = "stage1.shapes.training", "stage2.nar.training"

SETTINGS = {
    "the seed of a split": Row(
        setting("data.digits.seed", 5), below(DIGITS), "data.digits.seed: 0 → 5"
    ),
    "the size of packed images": Row(
        setting("data.shapes.image_size", 40), below(SHAPES), "data.shapes.image_size: 32 → 40"
    ),
    "the seed of the crops": Row(
        setting("views.digits.seed", 2),
        below(
            "features/dino",
            "autoencoder/vqgan",
            "neighbours/digits/cond_ar",
            "reconstruction/vqgan",
            "stability/noise",
            *EVALUATIONS[:2],
        ),
        "views.digits.seed: 1 → 2",
    ),
    "the width of an encoder": Row(
        setting("encoders.dino.model.width", 32),
        below("encoder/dino"),
        "encoders.dino.model.width: 16 → 32",
    ),
    "a temperature of an encoder's training": Row(
        setting("encoders.dino.training.student_temperature", 0.2),
        below("encoder/dino"),
        "encoders.dino.training.student_temperature: 0.1 → 0.2",
    ),
    "the layer of the features": Row(
        setting("features.dino.layer", 2),
        # The tokens read the settings of the features, and through them the same layer.
        below("features/dino"),
        "features.dino.layer: 1 → 2",
    ),
    "the number of clusters": Row(
        setting("codebooks.k16.clusters", 15),
        below("codebook/k16"),
        "codebooks.k16.clusters: 16 → 15\n    codebook/k16\n",
    ),
    "the points that K-Means reads": Row(
        setting("codebooks.k16.points", 500),
        below("codebook/k16"),
        "codebooks.k16.points: null → 500",
    ),
    "the size of a VQGAN": Row(
        setting("autoencoders.shapes.model", {"code_width": 4}),
        below("autoencoder/shapes"),
        "autoencoders.shapes.model.code_width: 8 → 4",
    ),
    "the discriminator of a VQGAN": Row(
        setting("autoencoders.vqgan.discriminator", {"channels": 32}),
        below("autoencoder/vqgan", "autoencoder/shapes"),
        "autoencoders.shapes.discriminator.channels: 64 → 32",
    ),
    "another codebook for a token set": Row(
        setting("tokens.semantic.codebook", "k16"),
        below("tokens/semantic"),
        "tokens.semantic.codebook: k8 → k16\n    tokens/semantic/train (2 parts)\n",
    ),
    "a learning rate": Row(
        setting(f"{STAGE1}.learning_rate", 2e-3),
        below("stage1/shapes"),
        "stage1.shapes.training.learning_rate: 0.001 → 0.002\n    stage1/shapes\n\n"
        "because of this, 7 jobs below:\n",
    ),
    "a learning rate that heirs take over": Row(
        setting("stage1.cond.training.learning_rate", 2e-3),
        below(*TRAININGS),
        "stage1.vq.training.learning_rate: 0.001 → 0.002\n    stage1/vq\n",
    ),
    "the classes of a model": Row(
        setting("stage1.shapes.class_conditional", False),
        below("stage1/shapes"),
        "stage1.shapes.class_conditional: true → false",
    ),
    "a learning rate of stage 2": Row(
        setting(f"{STAGE2}.learning_rate", 2e-3),
        below("stage2/nar"),
        "stage2.nar.training.learning_rate: 0.001 → 0.002",
    ),
    "another kind of stage 2": Row(
        setting("stage2.nar.kind", "autoregressive"),
        below("stage2/nar"),
        "stage2.nar.kind: masked → autoregressive\n    stage2/nar\n",
    ),
    "a sampling's filter": Row(
        setting("samplings.vq.semantic", {"top_k": 2}),
        below("sampling/vq"),
        "samplings.vq.semantic.top_k: null → 2\n    sampling/vq (2 parts)\n",
    ),
    "another stage 2 of a sampling": Row(
        setting("samplings.cond_nar.stage2", "ar"),
        below("sampling/cond_nar"),
        "samplings.cond_nar.stage2: nar → ar",
    ),
    "an extractor's training": Row(
        setting("extractors.shapes.steps", 7),
        below("extractor/shapes"),
        "extractors.shapes.steps: 300 → 7",
    ),
    "the metrics": Row(
        setting("evaluations.digits.metrics", ["fid"]),
        below(*EVALUATIONS[:2]),
        'evaluations.digits.metrics: ["fid","is","kid","prc"] → ["fid"]\n'
        "    evaluation/digits/cond_ar\n    evaluation/digits/vq\n",
    ),
    "the neighbours of each sample": Row(
        setting("neighbours.digits.neighbours", 3),
        below("neighbours/digits/cond_ar"),
        "neighbours.digits.neighbours: 5 → 3\n    neighbours/digits/cond_ar\n",
    ),
    "the images of a reconstruction": Row(
        setting("reconstructions.vqgan.split", "train"),
        below("reconstruction/vqgan"),
        "reconstructions.vqgan.split: validation → train",
    ),
    "the updates of a probe": Row(
        setting("probes.linear.steps", 5),
        below("probe/linear/uncond", "probe/linear/wide"),
        "probes.linear.steps: 2000 → 5",
    ),
    "the tokens of a probe": Row(
        config(remove("probes.linear.stage1.wide"), put("probes.linear.tokens", "semantic")),
        below("probe/linear/uncond"),
        "probes.linear.tokens: set to semantic",
    ),
    "the levels of noise": Row(
        setting("stabilities.noise.levels", [10]),
        below("stability/noise"),
        "stabilities.noise.levels: [30.0,25.0,20.0,15.0,10.0,5.0,1.0,0.01] → [10.0]",
    ),
    "one more codebook in a comparison": Row(
        config(append("stabilities.noise.codebooks", "k16")),
        below("stability/noise"),
        "stabilities.noise.codebooks: k16 is new",
    ),
    "the angle of a toy": Row(
        setting("projections.toy.angle", 45), below(TOY), "projections.toy.angle: 75.0 → 45.0"
    ),
    "the patches of a code": Row(
        setting("patches.semantic.patches", 3),
        below("patches/semantic"),
        "patches.semantic.patches: 10 → 3\n    patches/semantic\n",
    ),
    "the images of patches": Row(
        setting("patches.codes.split", "validation"),
        below("patches/codes"),
        "patches.codes.split: train → validation",
    ),
    # The set of values stays the same.
    "clusters and seed exchanged": Row(
        swap("codebooks.k8", "clusters", "seed"),
        below("codebook/k8"),
        "codebooks.k8.clusters: 8 → 4\ncodebooks.k8.seed: 4 → 8\n    codebook/k8\n",
    ),
    "count and seed exchanged": Row(
        swap("samplings.cond_ar", "count", "seed"),
        below("sampling/cond_ar", "sampling/cond_nar"),
        "samplings.cond_nar.count: 10 → 7",
    ),
}

VARIANTS = {
    "a new training": Row(
        config(
            put("stage1.slow", {"extends": "uncond", "training": {"learning_rate": 1e-4}}),
            append("probes.linear.stage1", "slow"),
        ),
        {"stage1/slow", "probe/linear/slow"} | PAPER,
        "not made yet\n    stage1/slow\n    probe/linear/slow\n",
    ),
    "a variant that only the tables show": Row(
        setting("codebooks.k4", {"features": "dino", "clusters": 4}),
        {"codebook/k4"} | PAPER,
        "not made yet\n    codebook/k4\n",
    ),
    "a new sampling": Row(
        setting("samplings.vq_cold", {"extends": "vq", "semantic": {"temperature": 0.5}}),
        jobs_of("sampling/vq_cold") | {"samples/vq_cold"} | PAPER,
        "not made yet\n    sampling/vq_cold (2 parts)\n    samples/vq_cold\n",
    ),
    "a sweep of a new sampling": Row(
        setting("samplings.cold", {"extends": "vq", "sweep": {"semantic.temperature": [0.5, 0.8]}}),
        jobs_of("sampling/cold_temperature_0p5")
        | jobs_of("sampling/cold_temperature_0p8")
        | {"samples/cold_temperature_0p5", "samples/cold_temperature_0p8"}
        | PAPER,
        "not made yet\n    sampling/cold_temperature_0p5 (2 parts)\n",
    ),
    "an evaluation of one more set": Row(
        config(append("evaluations.digits.samplings", "cond_nar")),
        {"evaluation/digits/cond_nar"} | PAPER,
        "not made yet\n    evaluation/digits/cond_nar\n",
    ),
    "the neighbours of one more set": Row(
        config(append("neighbours.digits.samplings", "vq")),
        {"neighbours/digits/vq"} | PAPER,
        "not made yet\n    neighbours/digits/vq\n",
    ),
    "a reconstruction by another extractor": Row(
        config(
            put("extractors.wide", {"extends": "cnn", "width": 128}),
            put("reconstructions.vqgan.extractor", "wide"),
        ),
        {"extractor/wide"} | below("reconstruction/vqgan"),
        "reconstructions.vqgan.extractor: cnn → wide\n    reconstruction/vqgan\n",
    ),
    "a variant less": Row(
        config(remove("samplings.cond_nar"), remove("stage2.nar")),
        PAPER,
        "tables: they show stage2/nar/card.json, which is gone",
    ),
    "an evaluation of one set less": Row(
        config(remove("evaluations.digits.samplings.vq")),
        PAPER,
        "figures: they show evaluations/digits/vq.json, which is gone",
    ),
    "another name": Row(
        # Only what has the name is made anew: a name is a folder and makes no number.
        config(rename("codebooks", "k16", "k16_b"), put("tokens.semantic_16.codebook", "k16_b")),
        below("codebook/k16") - {"codebook/k16"} | {"codebook/k16_b"},
        "not made yet\n    codebook/k16_b\n",
    ),
}

UNTRACKED = {
    "comments": Row(replace("config.yaml", "\nviews:", "\n# crops\n\nviews:"), set()),
    "keys in another order": Row(config(reorder), set()),
    "labels": Row(config(label_all), set()),
    "the title": Row(setting("title", "Another title"), set()),
    "lines of the log": Row(setting("log_every", 3), set()),
    "distance of checkpoints": Row(setting("checkpoint_every", 3), set()),
    "distance of pictures": Row(setting("pictures_every", 3), set()),
    "tolerance of unreadable images": Row(setting("data.digits.max_corrupt_share", 0.5), set()),
    "a number written otherwise": Row(
        setting("stage1.cond.training.learning_rate", "0.001"), set()
    ),
    "a default written out": Row(setting("stage1.cond.label_smoothing", 0.1), set()),
}

HARDWARE = {
    "threads, memory and batch": Row(
        setting(
            "execution",
            {
                "default": {"threads": 2, "memory_mb": 4000, "runtime_minutes": 9, "gpus": 1},
                "stage1": {"micro_batch": 4},
                "tokens": {"parts": 2, "batch": 7},
                "sampling": {"parts": 2, "batch": 9, "threads": 3},
            },
        ),
        set(),
    ),
    "several GPUs on several nodes": Row(
        setting("execution.stage1", {"gpus": 4, "nodes": 2, "max_runtime_minutes": 60}), set()
    ),
    "memory and time as planned": Row(
        setting("execution.stage1", {"memory_mb": None, "runtime_minutes": None}), set()
    ),
    "dask on a cluster": Row(
        setting("dask", {"scheduler": "slurm", "slurm": {"workers": 3}}), set()
    ),
    "files of a data set": Row(setting("data.digits.shards.train", 3), set()),
    "the device that a plan is for": Row(setting("device", "h100"), set()),
    "cores and retries of the profile": Row(
        replace("profiles/default/config.yaml", "cores: all", "cores: 1\nretries: 5"), set()
    ),
    "the resources of the profile": Row(
        replace("profiles/default/config.yaml", "gpu=1", "gpu=8"), set()
    ),
    "the command line of a rule": Row(
        replace("rules/stage1.smk", "python -m", "nice python -m"), set()
    ),
    "the message of a rule": Row(
        replace("rules/stage1.smk", "training the GPT", "training"), set()
    ),
    # Files are cut in another way.
    "parts of the tokens": Row(
        setting("execution.tokens.parts", 1),
        {f"tokens/{name}/train/0000-of-0001" for name in ("semantic", "semantic_16", "codes")}
        | below(*TRAININGS[:-1], "stage2/ar", "stage2/nar")
        | {"usage/semantic", "usage/semantic_16", "usage/codes", "patches/codes"},
        "not made yet\n    tokens/semantic/train\n",
    ),
    "parts of the samplings": Row(
        setting("execution.sampling.parts", 1),
        {f"sampling/{name}/0000-of-0001" for name in ("cond_ar", "cond_nar", "vq", "shapes")}
        | below("samples/cond_ar", "samples/cond_nar", "samples/vq", "samples/shapes"),
        "not made yet\n    sampling/cond_ar\n",
    ),
}

ROOTS_OF_CODE = {
    "shards": [DIGITS, SHAPES],
    "published": [],
    "encoder": ["encoder/dino"],
    "features": ["features/dino"],
    "codebook": ["codebook/k8", "codebook/k16"],
    "autoencoder": ["autoencoder/vqgan", "autoencoder/shapes"],
    "tokens": TOKENS,
    "usage": ["usage/semantic", "usage/semantic_16", "usage/codes", "usage/shapes"],
    "stage1": TRAININGS,
    "stage2": ["stage2/ar", "stage2/nar"],
    "sampling": ["sampling/cond_ar", "sampling/cond_nar", "sampling/vq", "sampling/shapes"],
    "samples": ["samples/cond_ar", "samples/cond_nar", "samples/vq", "samples/shapes"],
    "extractor": ["extractor/cnn", "extractor/shapes"],
    "evaluation": EVALUATIONS,
    "neighbours": ["neighbours/digits/cond_ar"],
    "reconstruction": ["reconstruction/vqgan"],
    "probe": ["probe/linear/uncond", "probe/linear/wide"],
    "stability": ["stability/noise"],
    "projections": [TOY],
    "patches": ["patches/semantic", "patches/codes"],
}
"""Stage → the jobs that run its code."""

CODE = {
    "the code of all stages, with equal results": Row(accept_all, set()),
    **{
        f"the code of {stage}": Row(
            bump(stage),
            below(*roots),
            f"the code of the stage {stage}: version" if roots else NOTHING,
        )
        for stage, roots in ROOTS_OF_CODE.items()
    },
    **{
        f"the code of {stage}": Row(
            bump(stage), {stage, "index"}, f"the code of the stage {stage}: version"
        )
        for stage in PAPER
    },
}

IMAGES = {
    "a replaced image": Row(
        write("images/round/3.png", "another image"),
        below(SHAPES),
        "data.shapes: the files that it names were replaced\n    shards/shapes\n",
    ),
    "a touched image": Row(
        touch("images/round/3.png"), below(SHAPES), "data.shapes: the files that it names"
    ),
    "a new image": Row(
        copy("images/square/0.png", "images/square/new.png"),
        below(SHAPES),
        "data.shapes: the files that it names",
    ),
    "an image less": Row(
        delete("images/square/0.png"), below(SHAPES), "data.shapes: the files that it names"
    ),
}

MISSING = " is missing\n    "
RESULTS = {
    "a card deleted": Row(
        delete("results/evaluations/digits/vq.json"),
        {"evaluation/digits/vq"} | PAPER,
        "not made yet\n    evaluation/digits/vq\n",
    ),
    "a sample set deleted": Row(
        delete("results/samplings/vq/samples.npz"),
        below("samples/vq"),
        f"results/samplings/vq/samples.npz{MISSING}samples/vq\n",
    ),
    "a table deleted": Row(
        delete("results/tables/generation.csv"),
        {"tables", "index"},
        f"results/tables/generation.csv{MISSING}tables",
    ),
    "a figure deleted": Row(
        delete("results/figures/time.pdf"),
        {"figures", "index"},
        f"results/figures/time.pdf{MISSING}figures",
    ),
    "the page deleted": Row(
        delete("results/index.html"), {"index"}, f"results/index.html{MISSING}index"
    ),
    "a picture deleted": Row(
        delete("results/samplings/cond_nar/grid.png"),
        {"samples/cond_nar"} | PAPER,
        f"results/samplings/cond_nar/grid.png{MISSING}samples/cond_nar\n",
    ),
    "a card deleted that nothing needs": Row(delete("results/stage1/vq/card.json"), set()),
    "weights deleted that nothing needs": Row(delete("results/stage1/vq/model.safetensors"), set()),
    "weights deleted that a new seed needs": Row(
        both(delete("results/stage1/vq/model.safetensors"), setting("samplings.vq.seed", 9)),
        below("stage1/vq"),
        f"results/stage1/vq/model.safetensors{MISSING}stage1/vq\n",
    ),
    "a card that cannot be read": Row(
        write("results/stage1/vq/card.json", "{"),
        below("stage1/vq"),
        "results/stage1/vq/card.json is no card\n    stage1/vq\n",
    ),
    # Snakemake compares the bytes of small files that it saw before.
    "a card touched": Row(touch("results/stage1/vq/card.json"), set()),
}

ROWS = SETTINGS | VARIANTS | UNTRACKED | HARDWARE | CODE | IMAGES | RESULTS
