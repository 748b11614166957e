"""Which tables and figures a config gives and which cards they read, before any of them is made.

The workflow must know the files in advance. A table or figure whose section of the config is
empty is not made at all, so there is never an empty one.
"""

from tessera.config.paths import SPLITS, Paths
from tessera.config.schema import PUBLISHED, STAGE_OF, Config, stage_of
from tessera.config.tokenizers import FittedCodebook
from tessera.config.training import TrainedStage1

FORMATS = ("csv", "md", "tex", "html")
"""Files of a table: numbers, text, paper, report."""

CSV_ONLY = ("linear_probe_layers", "results")
"""Tables too long to be read: only their numbers are written."""

TABLES = (
    "unconditional",
    "conditional",
    "ablation",
    "generation",
    "neighbours",
    "reconstructions",
    "linear_probe",
    "stability",
    "projections",
    "tokenizers",
    "usage",
    "sweeps",
    "trainings",
    "linear_probe_layers",
    "results",
)
FIGURES = (
    "generation",
    "bubbles",
    "ablation",
    "linear_probe",
    "clusters",
    "stability",
    "projections",
    "codebook",
    "usage",
    "sampling_sweep",
    "training_curves",
    "throughput",
    "time",
)

SWEPT_FILTERS = ("semantic.top_k", "semantic.top_p", "codes.top_k", "codes.top_p")
"""Settings of a sampling over which the figure of sweeps is drawn."""

CATEGORIES = (
    "Generation",
    "Samples",
    "Linear probe",
    "Stability",
    "Tokenizers",
    "Sweeps",
    "Training",
    "All numbers",
)
"""The categories of the report, in the order in which a paper tells of them."""

_CATEGORY_OF = {
    "table": {
        "unconditional": "Generation",
        "conditional": "Generation",
        "generation": "Generation",
        "ablation": "Generation",
        "neighbours": "Samples",
        "reconstructions": "Tokenizers",
        "linear_probe": "Linear probe",
        "linear_probe_layers": "Linear probe",
        "stability": "Stability",
        "projections": "Stability",
        "tokenizers": "Tokenizers",
        "usage": "Tokenizers",
        "sweeps": "Sweeps",
        "trainings": "Training",
        "results": "All numbers",
    },
    "figure": {
        "generation": "Generation",
        "ablation": "Generation",
        "bubbles": "Generation",
        "linear_probe": "Linear probe",
        "clusters": "Linear probe",
        "stability": "Stability",
        "projections": "Stability",
        "codebook": "Tokenizers",
        "usage": "Tokenizers",
        "sampling_sweep": "Sweeps",
        "training_curves": "Training",
        "throughput": "Training",
        "time": "Training",
    },
    "picture": {
        "samplings": "Samples",
        "neighbours": "Samples",
        "reconstructions": "Tokenizers",
        "patches": "Tokenizers",
    },
}


def category(kind: str, name: str) -> str:
    """Where the report shows something.

    Args:
        kind: "table", "figure" or "picture".
        name: of the table or figure; of a picture, the section of its variant.
    """
    return _CATEGORY_OF[kind][name]


_TITLE_OF = {
    "table": {
        "unconditional": "Unconditional generation, beside published",
        "conditional": "Class-conditional generation, beside published",
        "generation": "Sample sets, all measures",
        "neighbours": "Nearest training images",
        "linear_probe": "Linear probe, beside published",
        "linear_probe_layers": "Linear probe by layer",
        "stability": "Tokens under noise",
        "projections": "PCA against LDA",
        "usage": "Use of the vocabularies",
        "results": "Every number of every card",
    },
    "figure": {
        "generation": "Sample sets",
        "bubbles": "Size, distance and quality",
        "linear_probe": "Linear probe by layer",
        "clusters": "Linear probe by number of clusters",
        "stability": "Tokens under noise",
        "projections": "PCA against LDA",
        "codebook": "K-Means",
        "usage": "How often each code comes",
        "time": "Where the time went",
    },
}


def title(kind: str, name: str) -> str:
    """What the report calls a table or figure, such as "Linear probe by layer"."""
    return _TITLE_OF[kind].get(name) or name.replace("_", " ").capitalize()


def table_names(config: Config) -> list[str]:
    """The tables that this config gives."""
    wanted = {
        "unconditional": False in evaluated(config),
        "conditional": True in evaluated(config),
        "ablation": config.paper.ablation is not None,
        "generation": bool(evaluated(config)),
        "neighbours": any(entry.samplings for entry in config.neighbours.values()),
        "reconstructions": bool(config.reconstructions),
        "linear_probe": any(entry.stage1 for entry in config.probes.values()),
        "linear_probe_layers": any(entry.stage1 for entry in config.probes.values()),
        "stability": bool(config.stabilities),
        "projections": bool(config.projections),
        "tokenizers": bool(trained(config, "codebooks") or trained(config, "autoencoders")),
        "usage": bool(config.tokens),
        "sweeps": any(config.points.get(section) for section in STAGE_OF),
        "trainings": any(trained(config, section) for section in TRAINED),
        "results": True,
    }
    return [name for name in TABLES if wanted[name]]


def figure_names(config: Config) -> list[str]:
    """The figures that this config gives."""
    wanted = {
        "generation": bool(evaluated(config)),
        "bubbles": bool(evaluated(config)),
        "ablation": config.paper.ablation is not None,
        "linear_probe": any(entry.stage1 for entry in config.probes.values()),
        "clusters": len(probed_cluster_counts(config)) > 1,
        "stability": bool(config.stabilities),
        "projections": bool(config.projections),
        "codebook": bool(trained(config, "codebooks")),
        "usage": bool(config.tokens),
        "sampling_sweep": sweeps_filters(config),
        "training_curves": any(trained(config, section) for section in TRAINED),
        "throughput": bool(config.tokens or config.samplings)
        or any(trained(config, section) for section in TRAINED),
        "time": True,
    }
    return [name for name in FIGURES if wanted[name]]


def evaluated(config: Config) -> set[bool]:
    """Whether the sample sets that are evaluated were drawn for given classes: both may be."""
    names = {name for entry in config.evaluations.values() for name in entry.samplings}
    return {config.stage1[config.samplings[name].stage1].class_conditional for name in names}


def sweeps_filters(config: Config) -> bool:
    """Whether sample sets are evaluated that a sweep over how many codes are kept has made."""
    points = config.points.get("samplings", {})
    names = {name for entry in config.evaluations.values() for name in entry.samplings}
    found = (points[name].settings for name in names if name in points)
    return any(setting in settings for settings in found for setting in SWEPT_FILTERS)


def probed_cluster_counts(config: Config) -> set[int]:
    """The numbers of clusters of the codebooks, fitted here, whose tokens probed models draw."""
    models = [config.stage1[name] for entry in config.probes.values() for name in entry.stage1]
    tokens = [config.tokens[it.tokens] for it in models if isinstance(it, TrainedStage1)]
    codebooks = [config.codebooks[it.codebook] for it in tokens if it.codebook is not None]
    return {it.clusters for it in codebooks if isinstance(it, FittedCodebook)}


TRAINED = ("encoders", "autoencoders", "extractors", "stage1", "stage2")
"""Sections whose variants are trained here, unless their weights are published ones."""


def trained(config: Config, section: str) -> list[str]:
    """The variants of a section that are made here, not adopted."""
    return [
        name
        for name, variant in getattr(config, section).items()
        if variant.kind != "inception" and stage_of(section, variant) != PUBLISHED
    ]


def first_cards(paths: Paths) -> list[str]:
    """A card of everything that is no result itself: what results were made of.

    Of a stage that several jobs share it is the card of the first part, which stands for all
    parts: the paths of thousands would not fit into one command line.
    """
    config = paths.config
    single = [
        (section, name)
        for section in (*TRAINED, "data", "codebooks")
        for name, variant in getattr(config, section).items()
        if variant.kind != "inception"  # a file, which no job makes
    ]
    cards = [paths.card(section, name) for section, name in single]
    return cards + [parts[0] for parts in _split(paths)]


def further_parts(paths: Paths) -> list[str]:
    """The cards of the parts that the first ones stand for."""
    return [card for parts in _split(paths) for card in parts[1:]]


def _split(paths: Paths) -> list[list[str]]:
    config = paths.config
    split = [paths.cards("features", name) for name in config.features]
    split += [paths.cards("tokens", name, part) for name in config.tokens for part in SPLITS]
    return split + [paths.cards("samplings", name) for name in config.samplings]


def table_files(name: str) -> list[str]:
    """The files of a table."""
    return [f"{name}.{kind}" for kind in (FORMATS[:1] if name in CSV_ONLY else FORMATS)]


def figure_files(name: str) -> list[str]:
    """The files of a figure: for the screen and for print."""
    return [f"{name}.png", f"{name}.pdf"]
