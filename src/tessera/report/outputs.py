"""Which tables and figures a config gives and which cards they read, before any of them is made.

The workflow must know the files in advance. A table or figure whose section of the config is
empty is not made at all, so there is never an empty one.
"""

from tessera.config.paths import SPLITS, Paths
from tessera.config.schema import PUBLISHED, Config, stage_of

FORMATS = ("csv", "md", "tex", "html")
"""Files of a table: numbers, text, paper, report."""

CSV_ONLY = ("linear_probe_layers", "results")
"""Tables too long to be read: only their numbers are written."""

TABLES = (
    "generation",
    "reconstructions",
    "linear_probe",
    "stability",
    "tokenizers",
    "usage",
    "trainings",
    "linear_probe_layers",
    "results",
)
FIGURES = ("generation", "linear_probe", "stability", "codebook", "training_curves", "time")


def table_names(config: Config) -> list[str]:
    """The tables that this config gives."""
    wanted = {
        "generation": any(entry.samplings for entry in config.evaluations.values()),
        "reconstructions": bool(config.reconstructions),
        "linear_probe": any(entry.stage1 for entry in config.probes.values()),
        "linear_probe_layers": any(entry.stage1 for entry in config.probes.values()),
        "stability": bool(config.stabilities),
        "tokenizers": bool(trained(config, "codebooks") or trained(config, "autoencoders")),
        "usage": bool(config.tokens),
        "trainings": any(trained(config, section) for section in TRAINED),
        "results": True,
    }
    return [name for name in TABLES if wanted[name]]


def figure_names(config: Config) -> list[str]:
    """The figures that this config gives."""
    wanted = {
        "generation": any(entry.samplings for entry in config.evaluations.values()),
        "linear_probe": any(entry.stage1 for entry in config.probes.values()),
        "stability": bool(config.stabilities),
        "codebook": bool(trained(config, "codebooks")),
        "training_curves": bool(trained(config, "stage1") or trained(config, "stage2")),
        "time": True,
    }
    return [name for name in FIGURES if wanted[name]]


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
