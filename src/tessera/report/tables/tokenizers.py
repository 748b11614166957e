"""The table of tokenizers: size and use of their vocabularies, and how well they fit."""

import math
from collections.abc import Sequence
from typing import Any

from tessera.report.collection import Card, Collection, group_by, seeds
from tessera.report.table import Column, Table, fixed

TITLES = {
    "validation psnr_db": "PSNR\n(dB)",
    # Those of the training split stand in columns that K-Means has too.
    "validation used_codes": "",
    "validation code_entropy_bits": "",
}
"""Column of an autoencoder's validation → its heading."""


def tokenizers(cards: Collection) -> Table | None:
    """A row a codebook or autoencoder."""
    rows: list[dict[str, Any]] = []
    for card in cards.of("codebook", "autoencoder"):
        row: dict[str, Any] = {
            "variant": card.variant,
            "label": cards.label(card.section, card.variant),
            "kind": card.stage,
            "seeds": seeds(card.node),
            "card": card.path,
        }
        if card.stage == "codebook":
            results = card.results
            row |= {key: results[key] for key in ("points", "empty", "tiny", "used")}
            row |= {"vocabulary": results["clusters"], "entropy_bits": results["entropy_bits"]}
            row |= {"objective": results["objective"][-1] if results["objective"] else None}
        else:
            row |= _usage(cards, card)
            row |= {f"validation {k}": v for k, v in card.results["validation"].items()}
        rows.append(row)
    measured = dict.fromkeys(key for row in rows for key in row if key.startswith("validation "))
    columns = [
        Column("variant"),
        Column("label", "Tokenizer", data=False),
        Column("kind", "Kind"),
        Column("vocabulary", "Vocabulary"),
        Column("used", "Used"),
        Column("entropy_bits", "Entropy\n(bits)", show=fixed(2)),
        Column("points", "Points"),
        Column("objective", "Objective"),
        Column("empty", "Empty"),
        Column("tiny", "Tiny"),
        *(Column(key, TITLES.get(key, key.capitalize().replace("_", " "))) for key in measured),
        Column("seeds"),
        Column("card"),
    ]
    caption = (
        "Tokenizers. A codebook is K-Means over the points: the objective is the sum of squared "
        "distances, tiny clusters have fewer than 39 points. Codes of an autoencoder are counted "
        "over the tokens of the training split; its PSNR is that of validation images."
    )
    return Table("tokenizers", caption, columns, rows) if rows else None


def _usage(cards: Collection, autoencoder: Card) -> dict[str, Any]:
    """Vocabulary, codes used and their entropy, from the token sets of the training split."""
    sets = [
        card
        for card in cards.of("tokens")
        if card.results["split"] == "train"
        and cards.made_from(card.node["inputs"].get("autoencoder")) is autoencoder
    ]
    if not sets:
        return {"vocabulary": autoencoder.node["settings"]["model"]["codes"]}
    parts = next(iter(group_by(sets, lambda card: card.variant).values()))
    counts = [part.results["histogram"] for part in parts]
    histogram = [sum(column) for column in zip(*counts, strict=True)]
    return {
        "vocabulary": len(histogram),
        "used": sum(count > 0 for count in histogram),
        "entropy_bits": entropy_bits(histogram),
    }


def entropy_bits(counts: Sequence[int]) -> float:
    """Entropy in bits of how often each code is used; 0 where nothing was counted."""
    total = sum(counts)
    return math.fsum(-n / total * math.log2(n / total) for n in counts if n) + 0.0
