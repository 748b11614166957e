"""Which jobs a change of the config, the images or the code makes run again: these, no others."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = [pytest.mark.workflow, pytest.mark.filterwarnings("default")]

# What stands directly below each job of tests/workflow/config.yaml, drawn by hand.
BELOW = {
    "shards/digits": [
        "encoder/dino",
        "features/dino",
        "autoencoder/vqgan",
        "tokens/semantic",
        "tokens/semantic_16",
        "tokens/codes",
        "extractor/cnn",
        "evaluation/digits/cond_ar",
        "evaluation/digits/vq",
        "reconstruction/vqgan",
        "stability/noise",
    ],
    "shards/shapes": [
        "autoencoder/shapes",
        "tokens/shapes",
        "extractor/shapes",
        "evaluation/shapes/shapes",
    ],
    "encoder/dino": ["features/dino", "tokens/semantic", "tokens/semantic_16", "stability/noise"],
    "features/dino": ["codebook/k8", "codebook/k16"],
    "codebook/k8": ["tokens/semantic", "stability/noise"],
    "codebook/k16": ["tokens/semantic_16"],
    "autoencoder/vqgan": [
        "tokens/codes",
        "sampling/cond_ar",
        "sampling/cond_nar",
        "sampling/vq",
        "reconstruction/vqgan",
        "stability/noise",
    ],
    "autoencoder/shapes": ["tokens/shapes", "sampling/shapes"],
    "tokens/semantic": ["stage1/cond", "stage1/uncond", "stage2/ar", "stage2/nar"],
    "tokens/semantic_16": ["stage1/wide"],
    "tokens/codes": ["stage1/vq", "stage2/ar", "stage2/nar"],
    "tokens/shapes": ["stage1/shapes"],
    "stage1/cond": ["sampling/cond_ar", "sampling/cond_nar"],
    "stage1/uncond": ["probe/linear/uncond"],
    "stage1/wide": ["probe/linear/wide"],
    "stage1/vq": ["sampling/vq"],
    "stage1/shapes": ["sampling/shapes"],
    "stage2/ar": ["sampling/cond_ar"],
    "stage2/nar": ["sampling/cond_nar"],
    "sampling/cond_ar": ["samples/cond_ar"],
    "sampling/cond_nar": ["samples/cond_nar"],
    "sampling/vq": ["samples/vq"],
    "sampling/shapes": ["samples/shapes"],
    "samples/cond_ar": ["evaluation/digits/cond_ar"],
    "samples/cond_nar": [],
    "samples/vq": ["evaluation/digits/vq"],
    "samples/shapes": ["evaluation/shapes/shapes"],
    "extractor/cnn": [
        "evaluation/digits/cond_ar",
        "evaluation/digits/vq",
        "reconstruction/vqgan",
    ],
    "extractor/shapes": ["evaluation/shapes/shapes"],
    "evaluation/digits/cond_ar": [],
    "evaluation/digits/vq": [],
    "evaluation/shapes/shapes": [],
    "reconstruction/vqgan": [],
    "probe/linear/uncond": [],
    "probe/linear/wide": [],
    "stability/noise": [],
}

# Tables and figures read the cards of all results, so they run after any other job.
PAPER = {"tables", "figures"}

TRAININGS = [f"stage1/{name}" for name in ("cond", "uncond", "wide", "vq", "shapes")]
TOKENS = [f"tokens/{name}" for name in ("semantic", "semantic_16", "codes", "shapes")]
EVALUATIONS = ["evaluation/digits/cond_ar", "evaluation/digits/vq", "evaluation/shapes/shapes"]
DIGITS, SHAPES = "shards/digits", "shards/shapes"


def below(*roots: str) -> set[str]:
    """The jobs named, all that stands below them, and tables and figures."""
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        job = waiting.pop()
        if job not in found:
            found.add(job)
            waiting += BELOW.get(job, [])
    return set().union(*map(jobs_of, found), PAPER if roots else set())


def jobs_of(variant: str, parts: int = 2) -> set[str]:
    """A variant's jobs, where its stage is split into several."""
    names = {f"{variant}/{part:04d}-of-{parts:04d}" for part in range(parts)}
    if variant == "tokens/shapes":  # no more parts than shards
        return {f"{variant}/{split}/0000-of-0001" for split in ("train", "validation")}
    if variant.startswith("tokens/"):
        train = {f"{variant}/train/{part:04d}-of-{parts:04d}" for part in range(parts)}
        return train | {f"{variant}/validation/0000-of-0001"}
    if variant.startswith("features/"):
        return {f"{variant}/0000-of-0001"}
    return names if variant.startswith("sampling/") else {variant}


Config = dict[str, Any]
Edit = Callable[[Config], object]


def put(path: str, value: Any) -> Edit:
    """Sets one value, given by the path of its keys."""
    *parents, last = path.split(".")

    def edit(config: Config) -> None:
        for key in parents:
            config = config.setdefault(key, {})
        config[last] = value

    return edit


def swap(section: str, one: str, other: str) -> Edit:
    """Exchanges the values of two settings."""

    def edit(config: Config) -> None:
        variant = config
        for key in section.split("."):
            variant = variant[key]
        variant[one], variant[other] = variant[other], variant[one]

    return edit


def both(*edits: Edit) -> Edit:
    """Several edits at once."""

    def edit(config: Config) -> None:
        for one in edits:
            one(config)

    return edit


def remove(path: str) -> Edit:
    """Removes a variant, or an entry of a list."""
    *parents, last = path.split(".")

    def edit(config: Config) -> None:
        place: Any = config
        for key in parents:
            place = place[key]
        if isinstance(place, list):
            place.remove(last)
        else:
            del place[last]

    return edit


def append(path: str, entry: str) -> Edit:
    """Appends to a list."""

    def edit(config: Config) -> None:
        place: Any = config
        for key in path.split("."):
            place = place[key]
        place.append(entry)

    return edit


def reverse(value: Any) -> Any:
    """The same settings, all keys in the opposite order."""
    if isinstance(value, dict):
        return {key: reverse(value[key]) for key in reversed(value)}
    return value


def reorder(config: Config) -> None:
    reversed_config = reverse(dict(config))
    config.clear()
    config.update(reversed_config)


def label_all(config: Config) -> None:
    for section, variants in config.items():
        if isinstance(variants, dict) and section != "execution":
            for name, variant in variants.items():
                variant["label"] = f"The {name}"


STAGE1, STAGE2 = "stage1.shapes.training", "stage2.nar.training"

ROWS: dict[str, tuple[Edit, set[str]]] = {
    # One setting of one variant
    "a learning rate": (put(f"{STAGE1}.learning_rate", 2e-3), below("stage1/shapes")),
    "a learning rate of stage 2": (put(f"{STAGE2}.learning_rate", 2e-3), below("stage2/nar")),
    "a learning rate that heirs take over": (
        put("stage1.cond.training.learning_rate", 2e-3),
        below(*TRAININGS),
    ),
    "the number of clusters": (put("codebooks.k16.clusters", 15), below("codebook/k16")),
    "the seed of the crops": (
        put("views.digits.seed", 2),
        below(
            "features/dino",
            "autoencoder/vqgan",
            "reconstruction/vqgan",
            "stability/noise",
            *EVALUATIONS[:2],
        ),
    ),
    "the layer of the features": (
        put("features.dino.layer", 2),
        # The tokens read the settings of the features, and through them the same layer.
        below("features/dino"),
    ),
    "the seed of a split": (put("data.digits.seed", 5), below(DIGITS)),
    "the size of a VQGAN": (
        put("autoencoders.shapes.model", {"code_width": 4}),
        below("autoencoder/shapes"),
    ),
    "an extractor's training": (put("extractors.shapes.steps", 7), below("extractor/shapes")),
    "the levels of noise": (put("stabilities.noise.levels", [10]), below("stability/noise")),
    "the metrics": (put("evaluations.digits.metrics", ["fid"]), below(*EVALUATIONS[:2])),
    "the images of a reconstruction": (
        put("reconstructions.vqgan.split", "train"),
        below("reconstruction/vqgan"),
    ),
    "a reconstruction by another extractor": (
        both(
            put("extractors.wide", {"extends": "cnn", "width": 128}),
            put("reconstructions.vqgan.extractor", "wide"),
        ),
        {"extractor/wide"} | below("reconstruction/vqgan"),
    ),
    "the updates of a probe": (
        put("probes.linear.steps", 5),
        below("probe/linear/uncond", "probe/linear/wide"),
    ),
    "a sampling's filter": (put("samplings.vq.semantic", {"top_k": 2}), below("sampling/vq")),
    # Two values exchanged: the set of values stays the same
    "clusters and seed exchanged": (swap("codebooks.k8", "clusters", "seed"), below("codebook/k8")),
    "count and seed exchanged": (
        swap("samplings.cond_ar", "count", "seed"),
        below("sampling/cond_ar", "sampling/cond_nar"),
    ),
    # Variants that come and go
    "a new training": (
        both(
            put("stage1.slow", {"extends": "uncond", "training": {"learning_rate": 1e-4}}),
            append("probes.linear.stage1", "slow"),
        ),
        {"stage1/slow", "probe/linear/slow"} | PAPER,
    ),
    "a variant that only the tables show": (
        put("codebooks.k4", {"features": "dino", "clusters": 4}),
        {"codebook/k4"} | PAPER,
    ),
    "a new sampling": (
        put("samplings.vq_cold", {"extends": "vq", "semantic": {"temperature": 0.5}}),
        jobs_of("sampling/vq_cold") | {"samples/vq_cold"} | PAPER,
    ),
    "an evaluation of one more set": (
        append("evaluations.digits.samplings", "cond_nar"),
        {"evaluation/digits/cond_nar"} | PAPER,
    ),
    "a variant less": (both(remove("samplings.cond_nar"), remove("stage2.nar")), PAPER),
    "an evaluation of one set less": (remove("evaluations.digits.samplings.vq"), PAPER),
    # What changes no number
    "keys in another order": (reorder, set()),
    "labels": (label_all, set()),
    "threads, memory and batch": (
        put(
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
    "lines of the log": (put("log_every", 3), set()),
    "distance of checkpoints": (put("checkpoint_every", 3), set()),
    "tolerance of unreadable images": (put("data.digits.max_corrupt_share", 0.5), set()),
    "a number written otherwise": (put("stage1.cond.training.learning_rate", "0.001"), set()),
    "a default written out": (put("stage1.cond.label_smoothing", 0.1), set()),
    # Files are cut in another way
    "parts of the tokens": (
        put("execution.tokens.parts", 1),
        {f"tokens/{name}/train/0000-of-0001" for name in ("semantic", "semantic_16", "codes")}
        | below(*TRAININGS[:-1], "stage2/ar", "stage2/nar"),
    ),
}


def write(path: Path, edit: Edit) -> None:
    config = yaml.safe_load(path.read_text())
    edit(config)
    path.write_text(yaml.safe_dump(config, sort_keys=False))


def test_nothing_runs_twice(finished):
    """A finished run is finished."""
    assert finished.jobs() == set()


def test_the_first_run_runs_everything(fresh, monkeypatch):
    """All jobs of the hand-drawn graph exist, and no others."""
    monkeypatch.chdir(fresh.folder)
    assert fresh.jobs() == below(DIGITS, SHAPES)


@pytest.mark.parametrize("change", ROWS)
def test_an_edit_reruns_what_stands_below_it(finished, change: str):
    """The config is edited in one place; the jobs are exactly those that the edit concerns."""
    edit, expected = ROWS[change]
    write(finished.config, edit)
    assert finished.jobs() == expected


def test_comments_rerun_nothing(finished):
    """What is no setting is no change."""
    text = finished.config.read_text()
    finished.config.write_text("# Why\n\n" + text.replace("\nviews:", "\n# crops\n\nviews:"))
    assert finished.jobs() == set()


def test_an_overlay_is_an_edit(finished):
    """--configfile lays settings over config.yaml."""
    over = finished.folder / "over.yaml"
    over.write_text("codebooks: {k16: {clusters: 12}}\n")
    try:
        assert finished.jobs([over]) == below("codebook/k16")
    finally:
        over.unlink()


@pytest.mark.parametrize(
    ("stage", "roots"),
    [
        ("shards", [DIGITS, SHAPES]),
        ("features", ["features/dino"]),
        ("codebook", ["codebook/k8", "codebook/k16"]),
        ("tokens", TOKENS),
        ("stage1", TRAININGS),
        ("samples", ["samples/cond_ar", "samples/cond_nar", "samples/vq", "samples/shapes"]),
        ("evaluation", EVALUATIONS),
        ("reconstruction", ["reconstruction/vqgan"]),
        ("stability", ["stability/noise"]),
    ],
)
def test_a_new_version_reruns_the_stage_everywhere(finished, stage: str, roots):
    """A stage whose results differ runs again for all variants, with what stands below."""
    finished.bump(stage)
    assert finished.jobs() == below(*roots)


def test_a_replaced_image_reruns_its_data_set(finished):
    """An image of the folder is another file now."""
    (finished.folder / "images" / "round" / "3.png").write_text("another image")
    assert finished.jobs() == below(SHAPES)


def test_a_new_and_a_removed_image_rerun_their_data_set(finished):
    """The list of files belongs to the data set as much as their bytes."""
    new = finished.folder / "images" / "square" / "new.png"
    shutil.copy(finished.folder / "images" / "square" / "0.png", new)
    assert finished.jobs() == below(SHAPES)
    new.unlink()
    assert finished.jobs() == set()
    removed = finished.folder / "images" / "square" / "0.png"
    removed.rename(finished.folder / "0.png")
    try:
        assert finished.jobs() == below(SHAPES)
    finally:
        (finished.folder / "0.png").rename(removed)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("samplings/vq/samples.npz", below("samples/vq")),
        ("tables/generation.csv", {"tables"}),
        ("figures/time.pdf", {"figures"}),
    ],
)
def test_a_deleted_file_is_made_again(finished, file: str, expected):
    """Not only a card: each file that a job made, with what stands below the job."""
    path = finished.folder / "results" / file
    content = path.read_bytes()
    state = path.stat()
    path.unlink()
    try:
        assert finished.jobs() == expected
    finally:
        path.write_bytes(content)
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def test_deleted_weights_are_made_again_when_they_are_needed(finished):
    """A new seed of a sampling needs its models; one of them is gone."""
    path = finished.folder / "results/stage1/vq/model.safetensors"
    content, state = path.read_bytes(), path.stat()
    path.unlink()
    try:
        assert finished.jobs() == set()
        write(finished.config, put("samplings.vq.seed", 9))
        assert finished.jobs() == below("stage1/vq")
    finally:
        path.write_bytes(content)
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def test_jobs_find_their_python_without_an_activated_environment(fresh):
    """`.venv/bin/snakemake` alone: the jobs run in the environment that Snakemake runs in."""
    command = [
        str(Path(sys.executable).with_name("snakemake")), "--cores", "1", "--until",
        "shards_digits", "--quiet",
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=fresh.folder, env={"PATH": "/usr/bin:/bin", "HOME": str(fresh.folder)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    card = json.loads((fresh.folder / "results/shards/digits/card.json").read_text())
    assert card["results"]["train_images"] == 1437


INCEPTION = "extractors.inception.weights"


def test_an_evaluation_against_statistics(finished):
    """Its job reads the file instead of shards.

    When the file was written and where it lies change nothing, which one it is does.
    """
    file = finished.folder / "my statistics.npz"
    weights = finished.folder / "inception.pth"
    for path in (file, weights):
        path.write_text("nothing reads it")
    inception = {"kind": "inception", "weights": weights.name}
    adm = {"extractor": "inception", "statistics": file.name}
    write(finished.config, put("extractors.inception", inception))
    write(finished.config, put("evaluations.adm", adm | {"samplings": ["vq"]}))
    job = {"evaluation/adm/vq"}
    card = finished.folder / "results/evaluations/adm/vq.json"
    try:
        assert finished.jobs() == job | PAPER
        done = finished.run("results/evaluations/adm/vq.json", "--printshellcmds")
        assert done.returncode == 0, done.stdout
        assert re.search(r"--shards +--statistics 'my statistics\.npz' --extractor", done.stdout)
        assert finished.jobs() == PAPER
        os.utime(file)
        assert finished.jobs() == PAPER
        for path, name in ((file, "evaluations.adm.statistics"), (weights, INCEPTION)):
            moved = path.rename(finished.folder / f"moved {path.name}")
            write(finished.config, put(name, moved.name))
            assert finished.jobs() == PAPER
        moved.write_text("other weights")
        assert finished.jobs() == job | PAPER
    finally:
        card.unlink(missing_ok=True)
