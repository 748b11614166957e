"""All tables of a run."""

from collections.abc import Callable

from tessera.report.collection import Collection
from tessera.report.outputs import TABLES
from tessera.report.table import Table
from tessera.report.tables.ablation import ablation
from tessera.report.tables.generation import generation
from tessera.report.tables.linear_probe import linear_probe, linear_probe_layers
from tessera.report.tables.literature import conditional, unconditional
from tessera.report.tables.neighbours import neighbours
from tessera.report.tables.projections import projections
from tessera.report.tables.reconstructions import reconstructions
from tessera.report.tables.stability import stability
from tessera.report.tables.sweeps import sweeps
from tessera.report.tables.tidy import results
from tessera.report.tables.tokenizers import tokenizers
from tessera.report.tables.trainings import trainings
from tessera.report.tables.usage import usage

BUILD: dict[str, Callable[[Collection], Table | None]] = {
    "unconditional": unconditional,
    "conditional": conditional,
    "ablation": ablation,
    "generation": generation,
    "neighbours": neighbours,
    "reconstructions": reconstructions,
    "linear_probe": linear_probe,
    "stability": stability,
    "projections": projections,
    "tokenizers": tokenizers,
    "usage": usage,
    "sweeps": sweeps,
    "trainings": trainings,
    "linear_probe_layers": linear_probe_layers,
    "results": results,
}
"""Table → what builds it; None where no card has anything for it."""


def build_tables(cards: Collection) -> list[Table]:
    """The tables that these cards give; one without rows is not made."""
    made = [BUILD[name](cards) for name in TABLES]
    return [table for table in made if table is not None]
