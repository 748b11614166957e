"""The table of nearest training images: whether samples are copies."""

from tessera.report.collection import Card, Collection, seeds
from tessera.report.table import Column, Table, percent, shown


def neighbours(cards: Collection) -> Table | None:
    """A row a sample set and search."""
    rows = []
    for card in cards.of("neighbours"):
        results = card.results
        ours, unseen, near = (results[key] for key in ("samples", "validation", "near"))
        rows.append(
            {
                "variant": card.each,
                "search": card.variant,
                "label": cards.label("samplings", card.each),
                "distance": distance_name(card),
                "count": results["count"],
                "median_samples": ours["p50"],
                "median_unseen": unseen["p50"],
                "near": near["share"],
                "near_distance": near["distance"],
                "copies": ours["copies"],
                "copies_unseen": unseen["copies"],
                "unseen": unseen["count"],
                "training_images": results["reference"]["count"],
                "reference_digest": results["reference"]["digest"],
                "extractor_digest": results["extractor"]["digest"],
                "seeds": seeds(card.node),
                "card": card.path,
            }
        )
    columns = [
        Column("variant"),
        Column("search"),
        Column("label", "Sample set", data=False),
        Column("distance", "Distance"),
        Column("count", "Samples"),
        Column("median_samples", "Median,\nsamples"),
        Column("median_unseen", "Median,\nunseen images"),
        Column("near", "Near\n(%)", show=percent),
        Column("near_distance"),
        Column("copies", "Pixel-equal,\nsamples"),
        Column("copies_unseen", "Pixel-equal,\nunseen images"),
        Column("unseen"),
        Column("training_images", "Training\nimages"),
        Column("reference_digest"),
        Column("extractor_digest"),
        Column("seeds"),
        Column("card"),
    ]
    counts = sorted({row["unseen"] for row in rows})
    caption = (
        "Distances to the nearest training image: of samples, and of validation images, which no "
        "model has seen. Near are samples that lie nearer than all but one in a hundred of the "
        f"unseen images do (of {' or '.join(map(shown, counts))} unseen images): 1 % would be as "
        "expected, far more would be copies, or samples more typical than images are."
    )
    return Table("neighbours", caption, columns, rows) if rows else None


def distance_name(card: Card) -> str:
    """The distance and the features that it is taken of: "Euclidean (cnn)"."""
    return f"{card.results['metric'].capitalize()} ({card.results['extractor']['name']})"
