"""The table of token sets: how each uses its vocabulary."""

import math

from tessera.report.collection import Collection, seeds
from tessera.report.table import Column, Table, fixed


def usage(cards: Collection) -> Table | None:
    """A row a token set: how it uses its vocabulary."""
    keys = (
        "vocabulary", "codes", "used", "dead", "entropy_bits", "perplexity", "class_entropy_bits",
        "class_information_bits",
    )  # fmt: skip
    rows = [
        {key: card.results[key] for key in keys}
        | {
            "variant": card.variant,
            "label": cards.label(card.section, card.variant),
            "kind": card.results["kind"],
            "max_bits": math.log2(card.results["vocabulary"]),
            "seeds": seeds(card.node),
            "card": card.path,
        }
        for card in cards.of("usage")
    ]
    columns = [
        Column("variant"),
        Column("label", "Tokens", data=False),
        Column("kind", "Tokenizer"),
        Column("vocabulary", "Vocabulary"),
        Column("codes", "Codes\ncounted"),
        Column("used", "Used"),
        Column("dead", "Dead"),
        Column("entropy_bits", "Entropy\n(bits)", show=fixed(2)),
        Column("max_bits", "At most\n(bits)", show=fixed(2)),
        Column("perplexity", "Perplexity", show=fixed(0)),
        Column("class_entropy_bits", "Entropy in\na class (bits)", show=fixed(2)),
        Column("class_information_bits", "Of the\nclass (bits)", show=fixed(2)),
        Column("seeds"),
        Column("card"),
    ]
    caption = (
        "Codes of each token set over the training split, all views. Dead codes never come; the "
        "perplexity is 2 to the power of the entropy; what a code tells of the class is the "
        "entropy less the mean entropy in a class."
    )
    return Table("usage", caption, columns, rows) if rows else None
