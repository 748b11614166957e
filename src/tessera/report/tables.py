"""All tables of a run."""

from collections.abc import Callable

from tessera.report.collection import Collection
from tessera.report.generation import generation
from tessera.report.outputs import TABLES
from tessera.report.reconstructions import reconstructions
from tessera.report.summaries import (
    linear_probe,
    linear_probe_layers,
    stability,
    tokenizers,
    trainings,
    usage,
)
from tessera.report.table import Table
from tessera.report.tidy import results

BUILD: dict[str, Callable[[Collection], Table | None]] = {
    "generation": generation,
    "reconstructions": reconstructions,
    "linear_probe": linear_probe,
    "stability": stability,
    "tokenizers": tokenizers,
    "usage": usage,
    "trainings": trainings,
    "linear_probe_layers": linear_probe_layers,
    "results": results,
}
"""Table → what builds it; None where no card has anything for it."""


def build_tables(cards: Collection) -> list[Table]:
    """The tables that these cards give; one without rows is not made."""
    made = [BUILD[name](cards) for name in TABLES]
    return [table for table in made if table is not None]
