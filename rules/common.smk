# What the rules share: the validated config, paths, and the one string a variant is made of.

import os
import sys
from functools import lru_cache
from pathlib import Path
from shlex import join as shell_join
from shlex import quote

from snakemake.exceptions import WorkflowError
from snakemake.settings.types import DeploymentMethod

from tessera.config import guard, lineage
from tessera.config.canonical import canonical_json
from tessera.config.jobs import PARTED, node_of
from tessera.config.load import chain as config_chain
from tessera.config.load import load as load_config
from tessera.config.paths import SPLITS, Paths
from tessera.config.resolve import settings_text
from tessera.config.schema import PUBLISHED, stage_of
from tessera.errors import UserError
from tessera.plan.arrays import demand_of_parts
from tessera.plan.demand import demand
from tessera.report.outputs import category, title

# The files of this launch's config in their order. Snakemake lists those of --configfile first,
# although they are laid over config.yaml.
OVERLAYS = workflow.overwrite_configfiles
BELOW = workflow.configfiles[len(OVERLAYS) :]
if workflow.config_settings.replace_workflow_config:
    BELOW = []

try:
    CONFIG_FILES = [str(file) for file in config_chain([*BELOW, *OVERLAYS])]
    # Not Snakemake's own merged config: it knows nothing of `base`.
    CONFIG = load_config(CONFIG_FILES, workflow.config_settings.config)
    guard.fix(CONFIG_FILES)
except UserError as error:
    raise WorkflowError(str(error)) from None

# The environment of `--sdm conda` holds the dependencies; the package itself is this checkout's.
SOURCE = quote(str(Path(workflow.basedir) / "src"))
# A prefix replaces Snakemake's own, which makes a job fail where a stage fails before `| tee`.
PREFIX = "set -euo pipefail; "
# SLURM sends SIGTERM to all processes of a job. The stage alone reacts; a shell or `tee` that ended
# before it would take it along while it saves its state.
PREFIX += "trap '' TERM; "
PREFIX += f"export PYTHONPATH={SOURCE}:$(printenv PYTHONPATH || true); "
# Without it the jobs run in Snakemake's own environment, also where that was not activated.
ENVIRONMENT = str(Path(sys.executable).parent)
if (
    DeploymentMethod.CONDA not in workflow.deployment_settings.deployment_method
    and ENVIRONMENT not in os.environ.get("PATH", "").split(os.pathsep)
):
    PREFIX += f"export PATH={quote(ENVIRONMENT)}:$PATH; "
shell.prefix(PREFIX)

# By which a stage reads this config itself: the files, and what `--config` lays over them.
CONFIG_WORDS = f"--config {shell_join(CONFIG_FILES)} --overrides " + quote(
    canonical_json(dict(workflow.config_settings.config))
)
PATHS = Paths(CONFIG)
RESULTS = str(PATHS.root)  # without what may end or begin a path: ./results/
PART = r"\d{4}"


def names(section, published=None):
    """A wildcard's pattern: the variants of a section, or what matches nothing.

    `published` asks for those whose weights are adopted (True) or made here (False).
    """
    found = [
        name
        for name, entry in getattr(CONFIG, section).items()
        if published is None or (stage_of(section, entry) == PUBLISHED) == published
    ]
    return "|".join(found) or "(?!)"


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
    neighbours=names("neighbours"),
    reconstruction=names("reconstructions"),
    probe=names("probes"),
    stability=names("stabilities"),
    projections=names("projections"),
    patches=names("patches"),
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


@lru_cache
def parts_ask(stage):
    return demand_of_parts(CONFIG, stage)


def asks(stage, wildcards):
    """What a job asks of a scheduler; parts ask for the same, so that they can be one job array."""
    if stage in PARTED:
        return parts_ask(stage)
    return demand(CONFIG, stage, wildcards)


def memory(stage, **fixed):
    """A function that gives the memory of a job, MB: twice as much at each further attempt."""

    def mem_mb(wildcards, attempt):
        return asks(stage, fixed | dict(wildcards)).memory_mb * 2 ** (attempt - 1)

    return mem_mb


def gpus(stage):
    """Resources of a rule: `gpu` or `gres` asks for a job's GPUs, and `devices` counts them.

    `gpu` and `devices` count those of all nodes together, `gres` those of each node: of several
    nodes SLURM would not share a sum equally.
    """
    asked = execute(stage)
    count = asked.gpus * asked.nodes
    if asked.gpus and (asked.gres or asked.nodes > 1):
        gres = f"{asked.gres or 'gpu'}:{asked.gpus}"
        return {"gres": gres, "gpu": 0, "devices": count}
    return {"gpu": count, "devices": count}


def spread(stage):
    """The resources of a training that starts processes of its own, on one node or on several.

    For several the SLURM plugin wants more: a task a node; `mpi`, so that it leaves srun to the
    job; and a `tasks_per_gpu` of 0, so that it does not take `tasks` for those of each GPU.
    """
    nodes = execute(stage).nodes
    several = {"mpi": "srun", "tasks": nodes, "tasks_per_gpu": 0}
    return {"nodes": nodes} | (several if nodes > 1 else {})


def runtime(stage, **fixed):
    """A function that gives the time limit of a job, minutes."""

    def minutes(wildcards):
        return asks(stage, fixed | dict(wildcards)).runtime_minutes

    return minutes


# What dask computes with. As a resource it reruns nothing.
DASK = canonical_json(CONFIG.dask.model_dump(mode="json"))


def view_data(section, name):
    """The data set that a variant's views crop."""
    return CONFIG.views[variant(section, name).views].data


def extractor_of(section, wildcard):
    """Functions of a rule's wildcards for the extractor of its variant.

    The card that is an input, if it is trained here; and the word for the command line: that card,
    or the file of weights, which is no input since what it holds is in the settings.
    """

    def extractor(wildcards):
        name = variant(section, getattr(wildcards, wildcard)).extractor
        return name, CONFIG.extractors[name]

    def card(wildcards):
        name, found = extractor(wildcards)
        return PATHS.card("extractors", name) if found.kind == "classifier" else []

    def word(wildcards):
        _, found = extractor(wildcards)
        return quote(card(wildcards) or found.weights)

    return card, word


EVALUATION_EXTRACTOR, EVALUATION_EXTRACTOR_WORD = extractor_of(
    "evaluations", "evaluation"
)
NEIGHBOURS_EXTRACTOR, NEIGHBOURS_EXTRACTOR_WORD = extractor_of(
    "neighbours", "neighbours"
)
RECONSTRUCTION_EXTRACTOR, RECONSTRUCTION_EXTRACTOR_WORD = extractor_of(
    "reconstructions", "reconstruction"
)


def reference_shards(wildcards):
    """The images that an evaluation compares with; none where it has statistics of them."""
    views = variant("evaluations", wildcards.evaluation).views
    return [] if views is None else PATHS.card("data", CONFIG.views[views].data)


def reference_statistics(wildcards):
    """The file of statistics that an evaluation compares with; none where it has images."""
    statistics = variant("evaluations", wildcards.evaluation).statistics
    return "" if statistics is None else quote(statistics)


def encoder_of(codebook):
    """The encoder whose features a codebook quantises."""
    return lineage.reading_of_codebook(CONFIG, codebook).encoder


PUBLISHED_FILES = {
    "codebooks": ["centroids.npy"],
    "models": ["model.safetensors", "model.json"],
}
"""What the stage `published` leaves beside its card."""


def published_files(section, wildcard):
    """A function of a rule's wildcards that gives the files to adopt; none come from a hub."""

    def files(wildcards):
        entry = variant(section, getattr(wildcards, wildcard))
        if entry.kind == "timm":
            return "" if entry.weights is None else quote(entry.weights)
        return quote(f"{entry.path}/published.json")

    return files


def codebook_files(name):
    return [PATHS.card("codebooks", name), PATHS.card("encoders", encoder_of(name))]


def codebook_arrays(name):
    """The centroids of a codebook and the weights of its encoder."""
    return [
        f"{PATHS.folder('codebooks', name)}/centroids.npy",
        weights_of("encoders", encoder_of(name)),
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
    if sampling.stage2 is not None:
        models.append(PATHS.card("stage2", sampling.stage2))
    return models + [PATHS.card(*lineage.painter(CONFIG, sampling))]


def stability_inputs(wildcards):
    stability = CONFIG.stabilities[wildcards.stability]
    files = [file for name in stability.codebooks for file in codebook_files(name)]
    files += [PATHS.card("autoencoders", name) for name in stability.autoencoders]
    # Two codebooks may share one encoder.
    return list(dict.fromkeys(files))


def result_cards():
    """The cards of all that measures something, and of all sample sets."""
    cards = [PATHS.card("samplings", name) for name in CONFIG.samplings]
    cards += [PATHS.card("usage", name) for name in CONFIG.tokens]
    for name, evaluation in CONFIG.evaluations.items():
        cards += [
            PATHS.pair("evaluations", name, each) for each in evaluation.samplings
        ]
    for name, neighbours in CONFIG.neighbours.items():
        cards += [PATHS.pair("neighbours", name, each) for each in neighbours.samplings]
    cards += [PATHS.card("reconstructions", name) for name in CONFIG.reconstructions]
    for name, probe in CONFIG.probes.items():
        cards += [PATHS.pair("probes", name, each) for each in probe.stage1]
    cards += [PATHS.card("stabilities", name) for name in CONFIG.stabilities]
    cards += [PATHS.card("projections", name) for name in CONFIG.projections]
    return cards + [PATHS.card("patches", name) for name in CONFIG.patches]


def part_files(cards):
    """The arrays beside the cards of parts: inputs too, so that a deleted one is made again."""
    return [card.replace(".json", ".zarr.zip") for card in cards]


def weights_of(section, name):
    """The weights beside the card of a training."""
    return f"{PATHS.folder(section, name)}/model.safetensors"


def patch_tokens(wildcards):
    """The parts of the token set whose codes are shown, of the split that they are shown in."""
    patches = variant("patches", wildcards.patches)
    return PATHS.cards("tokens", patches.tokens, patches.split)


def probe_tokens(wildcards, split):
    """The parts of the token set that a probe reads: its own, or that of the model's training."""
    probe = variant("probes", wildcards.probe)
    name = lineage.tokens_of_probe(CONFIG, probe, wildcards.stage1)
    return PATHS.cards("tokens", name, split)


def probe_arrays(wildcards):
    """The weights of the model that a probe reads, and the tokens."""
    cards = [card for split in SPLITS for card in probe_tokens(wildcards, split)]
    return [weights_of("stage1", wildcards.stage1), *part_files(cards)]


def shown(kind, name, file, form):
    """A file of a table or figure as Snakemake's report shows it."""
    return report(
        f"{RESULTS}/{kind}s/{file}",
        caption=f"captions/{kind}_{name}.rst",
        category=category(kind, name),
        labels={"result": title(kind, name), "as": form},
    )


def shown_picture(picture):
    """A picture as Snakemake's report shows it."""
    return report(
        f"{RESULTS}/{picture.file}",
        caption=f"captions/{picture.caption}.rst",
        category=category("picture", picture.section),
        labels={"result": picture.title, "as": "Picture"},
    )


def collecting(stage):
    """The settings of a stage that is of no variant."""
    return canonical_json(node_of(CONFIG, stage, "", "", None))
