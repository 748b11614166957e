"""Cards that tell of something else than the config."""

import json
from pathlib import Path
from typing import Any

import pytest

from tessera.config.jobs import Planned
from tessera.reruns.outdated import outdated, read_cards

NODE = {"stage": "codebook", "version": 1, "settings": {"clusters": 8}, "inputs": {}}
TABLES = {"stage": "tables", "version": 1, "settings": {}, "inputs": {}}


@pytest.fixture
def planned(tmp_path) -> list[Planned]:
    """A codebook and the tables."""
    cards = [f"{tmp_path}/codebooks/k/card.json", f"{tmp_path}/tables/card.json"]
    return [
        Planned("codebook", "codebooks", "k", None, None, 0, 1, cards[0], NODE),
        Planned("tables", "", "", None, None, 0, 1, cards[1], TABLES),
    ]


def write(job: Planned, card: Any) -> None:
    Path(job.card).parent.mkdir(parents=True, exist_ok=True)
    Path(job.card).write_text(card if isinstance(card, str) else json.dumps(card))


def found(planned: list[Planned]) -> list[str]:
    return [job.stage for job in outdated(planned, read_cards(planned))]


def card(digest: str = "a", **changes: Any) -> dict[str, Any]:
    return {"node": NODE | changes, "digest": digest, "inputs": {}}


def tables(**inputs: str) -> dict[str, Any]:
    names = {"k": "codebooks/k/card.json", "other": "codebooks/other/card.json"}
    return {"node": TABLES, "inputs": {names[name]: inputs[name] for name in inputs}}


def test_what_is_not_made_is_not_outdated(planned):
    """It is missing, which Snakemake sees."""
    assert found(planned) == []


@pytest.mark.parametrize(
    ("content", "stale"),
    [
        (card(), False),
        (dict(reversed(card().items())), False),
        (card(settings={"clusters": 9}), True),
        (card(settings={"clusters": 8.0}), True),
        (card(version=2), True),
        ({"digest": "a"}, True),
        ("{", True),
        ("[]", True),
    ],
)
def test_a_card_counts_by_its_node(planned, content, stale):
    """One that cannot be read tells of nothing."""
    write(planned[0], content)
    assert found(planned) == (["codebook"] if stale else [])


@pytest.mark.parametrize(
    ("content", "stale"),
    [
        (tables(k="a"), False),
        (tables(k="b"), True),
        (tables(), True),
        (tables(k="a", other="a"), True),
    ],
    ids=["the same", "made anew since", "one more", "one less"],
)
def test_tables_count_by_the_cards_that_they_show(planned, content, stale):
    """Their node does not say which these are."""
    write(planned[0], card("a"))
    write(planned[1], content)
    assert found(planned) == (["tables"] if stale else [])


def test_a_deleted_card_asks_for_no_new_table(planned):
    """Whoever deletes what is not needed wants no work from it."""
    write(planned[1], tables(k="a"))
    assert found(planned) == []
