# What the rules share: the validated config, paths, and the one string a variant is made of.

import os
import sys
from pathlib import Path
from shlex import quote

from snakemake.exceptions import WorkflowError
from snakemake.settings.types import DeploymentMethod

from tessera.config import guard
from tessera.config.load import validate
from tessera.config.paths import SPLITS, Paths
from tessera.config.resolve import settings_text
from tessera.errors import UserError

# The files that make up this launch's config, in the order in which they are merged. Snakemake
# lists those of --configfile first, although they are laid over config.yaml.
OVERLAYS = workflow.overwrite_configfiles
CONFIG_FILES = [
    str(file) for file in [*workflow.configfiles[len(OVERLAYS) :], *OVERLAYS]
]

try:
    CONFIG = validate(config)
    guard.fix(CONFIG_FILES)
except UserError as error:
    raise WorkflowError(str(error)) from None

# The environment of `--sdm conda` holds the dependencies; the package itself is this checkout's.
SOURCE = quote(str(Path(workflow.basedir) / "src"))
# A prefix replaces Snakemake's own, which makes a job fail where a stage fails before `| tee`.
PREFIX = "set -euo pipefail; "
PREFIX += f"export PYTHONPATH={SOURCE}:$(printenv PYTHONPATH || true); "
# Without it the jobs run in Snakemake's own environment, also where that was not activated.
ENVIRONMENT = str(Path(sys.executable).parent)
if (
    DeploymentMethod.CONDA not in workflow.deployment_settings.deployment_method
    and ENVIRONMENT not in os.environ.get("PATH", "").split(os.pathsep)
):
    PREFIX += f"export PATH={quote(ENVIRONMENT)}:$PATH; "
shell.prefix(PREFIX)

PATHS = Paths(CONFIG)
RESULTS = CONFIG.results
PART = r"\d{4}"


def names(section):
    """A wildcard's pattern: the variants of a section, or what matches nothing."""
    return "|".join(getattr(CONFIG, section)) or "(?!)"


wildcard_constraints:
    data=names("data"),
    encoder=names("encoders"),
    features=names("features"),
    codebook=names("codebooks"),
    autoencoder=names("autoencoders"),
    tokens=names("tokens"),
    stage1=names("stage1"),
    stage2=names("stage2"),
    sampling=names("samplings"),
    extractor=names("extractors"),
    evaluation=names("evaluations"),
    probe=names("probes"),
    stability=names("stabilities"),
    split="|".join(SPLITS),
    part=PART,
    parts=PART,


def settings(section, wildcard, each=None, stage=None):
    """A function of a rule's wildcards that gives the variant's canonical JSON."""

    def text(wildcards):
        entry = getattr(wildcards, each) if each else None
        return settings_text(
            CONFIG, section, getattr(wildcards, wildcard), entry, stage
        )

    return text


def variant(section, name):
    return getattr(CONFIG, section)[name]


def trained_model(section, wildcard):
    """What a training leaves beside its card."""
    files = ("model.safetensors", "model.json", "metrics.jsonl")
    return [f"{RESULTS}/{section}/{{{wildcard}}}/{file}" for file in files]


def execute(stage):
    return CONFIG.execute(stage)


def view_data(section, name):
    """The data set that a variant's views crop."""
    return CONFIG.views[variant(section, name).views].data


def encoder_weights(name):
    """The weights of an encoder, trained here or published."""
    encoder = CONFIG.encoders[name]
    trained = encoder.kind == "trained"
    return weights_of("encoders", name) if trained else encoder.weights


def encoder_files(name):
    """What an encoder is read from: the card of its training, or the file of its weights."""
    encoder = CONFIG.encoders[name]
    return (
        PATHS.card("encoders", name) if encoder.kind == "trained" else encoder.weights
    )


def extractor_files(name):
    extractor = CONFIG.extractors[name]
    trained = extractor.kind == "classifier"
    return PATHS.card("extractors", name) if trained else extractor.weights


def codebook_files(name):
    encoder = CONFIG.features[CONFIG.codebooks[name].features].encoder
    return [PATHS.card("codebooks", name), encoder_files(encoder)]


def codebook_arrays(name):
    """The centroids of a codebook and the weights of its encoder."""
    encoder = CONFIG.features[CONFIG.codebooks[name].features].encoder
    return [
        f"{PATHS.folder('codebooks', name)}/centroids.npy",
        encoder_weights(encoder),
    ]


def tokenizer_arrays(wildcards):
    tokens = CONFIG.tokens[wildcards.tokens]
    if tokens.codebook is not None:
        return codebook_arrays(tokens.codebook)
    return [weights_of("autoencoders", tokens.autoencoder)]


def sampling_arrays(wildcards):
    return [
        card.replace("card.json", "model.safetensors")
        for card in sampling_inputs(wildcards)
    ]


def stability_arrays(wildcards):
    stability = CONFIG.stabilities[wildcards.stability]
    files = [file for name in stability.codebooks for file in codebook_arrays(name)]
    files += [weights_of("autoencoders", name) for name in stability.autoencoders]
    return list(dict.fromkeys(files))


def tokenizer_files(wildcards):
    tokens = CONFIG.tokens[wildcards.tokens]
    if tokens.codebook is not None:
        return codebook_files(tokens.codebook)
    return [PATHS.card("autoencoders", tokens.autoencoder)]


def sampling_inputs(wildcards):
    """Stage 1, stage 2 where there is one, and the autoencoder that paints the codes."""
    sampling = CONFIG.samplings[wildcards.sampling]
    models = [PATHS.card("stage1", sampling.stage1)]
    codes = CONFIG.stage1[sampling.stage1].tokens
    if sampling.stage2 is not None:
        models.append(PATHS.card("stage2", sampling.stage2))
        codes = CONFIG.stage2[sampling.stage2].codes
    return models + [PATHS.card("autoencoders", CONFIG.tokens[codes].autoencoder)]


def stability_inputs(wildcards):
    stability = CONFIG.stabilities[wildcards.stability]
    files = [file for name in stability.codebooks for file in codebook_files(name)]
    files += [PATHS.card("autoencoders", name) for name in stability.autoencoders]
    # Two codebooks may share one encoder.
    return list(dict.fromkeys(files))


def result_cards():
    """The cards of all evaluations, probes and stabilities, and of all sample sets."""
    cards = [PATHS.card("samplings", name) for name in CONFIG.samplings]
    for name, evaluation in CONFIG.evaluations.items():
        cards += [
            PATHS.pair("evaluations", name, each) for each in evaluation.samplings
        ]
    for name, probe in CONFIG.probes.items():
        cards += [PATHS.pair("probes", name, each) for each in probe.stage1]
    return cards + [PATHS.card("stabilities", name) for name in CONFIG.stabilities]


def part_files(cards):
    """The arrays beside the cards of parts: inputs too, so that a deleted one is made again."""
    return [card.replace(".json", ".zarr.zip") for card in cards]


def weights_of(section, name):
    """The weights beside the card of a training."""
    return f"{PATHS.folder(section, name)}/model.safetensors"
