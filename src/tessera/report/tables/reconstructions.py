"""The table of autoencoders: how far their reconstructions are from the images."""

from tessera.config.canonical import canonical_json
from tessera.report.collection import Card, Collection, seeds
from tessera.report.table import Column, Table, fixed

BEST = {"fid": "low", "psnr_db": "high"}
"""Metric → which value is the better one, in the order of the columns."""

ColumnNames = dict[tuple[str, str], str]
"""(card, metric) → the name of its column."""


def column_names(cards: Collection) -> ColumnNames:
    """The names under which the metrics of all reconstructions may be printed.

    Numbers of other images, or over another extractor, are not comparable: where they would be
    called alike, the names of the variants tell them apart.
    """
    found = cards.of("reconstruction")
    variants: dict[str, dict[str, str]] = {}
    called: dict[str, set[str]] = {}
    for card in found:
        for metric in BEST:
            protocol = _protocol(card, metric)
            label = cards.label("reconstructions", card.variant)
            variants.setdefault(protocol, {})[card.variant] = label
            called.setdefault(_name(card, metric), set()).add(protocol)
    names = {}
    for card in found:
        for metric in BEST:
            name, own = _name(card, metric), variants[_protocol(card, metric)]
            apart = f" {' / '.join(own.values())}" if len(called[name]) > 1 else ""
            names[card.path, metric] = f"{name},{apart}" if apart else name
            if metric == "psnr_db":
                names[card.path, metric] += " (dB)"
    return names


def reconstructions(cards: Collection) -> Table | None:
    """A row a reconstruction."""
    found = cards.of("reconstruction")
    names = column_names(cards)
    rows = []
    for card in found:
        results = card.results
        made = cards.made_from(card.node["inputs"]["autoencoder"])
        row = {
            "variant": card.variant,
            "label": cards.label("reconstructions", card.variant),
            "autoencoder": made.variant if made else None,
            "tokenizer": cards.label("autoencoders", made.variant) if made else None,
            "count": results["count"],
            "reference": f"{results['reference']['split']}, {results['reference']['count']:,}",
            "reference_digest": results["reference"]["digest"],
            "extractor": results["extractor"]["name"],
            "extractor_digest": results["extractor"]["digest"],
            "seeds": seeds(card.node),
            "card": card.path,
        }
        rows.append(row | {names[card.path, m]: results["metrics"][m] for m in BEST})
    columns = [
        Column("variant"),
        Column("label", "Reconstruction", data=False),
        Column("autoencoder"),
        Column("tokenizer", "Tokenizer", data=False),
    ]
    for metric in BEST:
        for name in dict.fromkeys(names[card.path, metric] for card in found):
            if metric == "fid":
                columns.append(Column(name, name, best="low"))
            else:
                columns.append(Column(name, name, best="high", show=fixed(2)))
    columns += [
        Column("count"),
        Column("reference", "Images"),
        Column("reference_digest"),
        Column("extractor"),
        Column("extractor_digest"),
        Column("seeds"),
        Column("card"),
    ]
    caption = (
        "Images against their own reconstructions, from codes alone: the Fréchet distance of the "
        "two sets (rFID over Inception, rFD over any other extractor) and the mean PSNR of an "
        "image."
    )
    return Table("reconstructions", caption, columns, rows, alike="count") if rows else None


def _protocol(card: Card, metric: str) -> str:
    """What numbers must share to be comparable: images, and for distances the extractor."""
    images = [card.results["reference"], card.node["inputs"]["views"]]
    return canonical_json([*images, card.results["extractor"] if metric == "fid" else None])


def _name(card: Card, metric: str) -> str:
    """A metric's name, before other images are told apart.

    Only numbers over Inception are called rFID, whatever the card says.
    """
    if metric == "psnr_db":
        return "PSNR"
    extractor = card.results["extractor"]
    return "rFID" if extractor["kind"] == "inception" else f"rFD ({extractor['name']})"
