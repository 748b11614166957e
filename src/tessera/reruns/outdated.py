"""Jobs whose card tells of something else than the config: their results are not those asked for.

Snakemake keeps what a file was made of in the folder that it was started in. From another checkout
over the same results, or once `.snakemake` is gone, it would take any file that is there. The cards
lie beside the results and say the same, so they decide.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from tessera.config.canonical import canonical_json
from tessera.config.jobs import COLLECTING, INDEX, Planned
from tessera.errors import UserError
from tessera.io.files import read_json

Cards = Mapping[str, Mapping[str, Any]]
"""Path of a card → what it says; nothing for a file that is no card."""


def read_cards(jobs: Sequence[Planned]) -> Cards:
    """The cards that are there."""
    return {job.card: _read(Path(job.card)) for job in jobs if Path(job.card).is_file()}


def _read(path: Path) -> dict[str, Any]:
    try:
        card = read_json(path)
    except UserError:
        return {}
    return card if isinstance(card, dict) else {}


def outdated(jobs: Sequence[Planned], cards: Cards) -> list[Planned]:
    """The jobs whose card is there and tells of something else.

    Args:
        jobs: all jobs of the config.
        cards: the cards that are there.
    """
    digests = {stage: shown(jobs, cards, stage) for stage in COLLECTING}
    return [
        job
        for job in jobs
        if job.card in cards and _tells_of_others(job, cards[job.card], digests.get(job.stage))
    ]


def _tells_of_others(
    job: Planned, card: Mapping[str, Any], digests: Mapping[str, str | None] | None
) -> bool:
    if canonical_json(card.get("node")) != canonical_json(job.node):
        return True
    if digests is None:
        return False
    # A node of tables and figures does not say which cards they show. One that was deleted since
    # asks for nothing, as everywhere.
    told = card.get("inputs", {})
    return told.keys() != digests.keys() or any(
        digest not in (None, told[name]) for name, digest in digests.items()
    )


def shown(jobs: Sequence[Planned], cards: Cards, stage: str) -> dict[str, str | None]:
    """What tables, figures or the index page show: cards → digest.

    Args:
        jobs: all jobs of the config.
        cards: the cards that are there.
        stage: which of the three; the index page alone shows the other two as well.

    Returns:
        Cards by their paths from the folder of all results; None for one that is not there.
    """
    root = next(PurePosixPath(job.card).parents[1] for job in jobs if job.stage in COLLECTING)
    hidden = (INDEX,) if stage == INDEX else COLLECTING
    return {
        str(PurePosixPath(job.card).relative_to(root)): cards.get(job.card, {}).get("digest")
        for job in jobs
        if job.stage not in hidden
    }
