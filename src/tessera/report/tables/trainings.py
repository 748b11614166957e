"""The table of trainings: size, length, losses, and what each took."""

from tessera.report.collection import TRAININGS, Collection, seeds
from tessera.report.table import Column, Table, fixed, shown


def trainings(cards: Collection) -> Table | None:
    """A row a training."""
    rows = []
    for card in cards.of(*TRAININGS):
        results, run = card.results, card.run
        validation = dict(results["validation"])
        rows.append(
            {
                "stage": card.stage,
                "variant": card.variant,
                "label": cards.label(card.section, card.variant),
                "parameters": results["parameters"],
                "steps": results["steps"],
                "images_seen": results["images_seen"],
                "final_loss": results["final"].get("loss"),
                "validation_loss": validation.pop("loss", None),
                "validation": ", ".join(f"{k} {shown(v)}" for k, v in validation.items()) or None,
                "seconds": run["seconds"],
                "peak_memory_mb": run["peak_memory_mb"],
                "device": run["device"],
                "threads": run["threads"],
                "seeds": seeds(card.node),
                "card": card.path,
            }
        )
    columns = [
        Column("stage", "Stage"),
        Column("variant"),
        Column("label", "Model", data=False),
        Column("parameters", "Parameters"),
        Column("steps", "Updates"),
        Column("images_seen", "Images seen"),
        Column("final_loss", "Loss"),
        Column("validation_loss", "Validation loss"),
        Column("validation", "Further validation"),
        Column("seconds", "Time (s)", show=fixed(1)),
        Column("peak_memory_mb", "Peak memory (MB)", show=fixed(0)),
        Column("device", "Device"),
        Column("threads"),
        Column("seeds"),
        Column("card"),
    ]
    caption = (
        "Trainings. The loss is that of the last line of the log, with dropout and label "
        "smoothing where these are on; the validation loss is without."
    )
    return Table("trainings", caption, columns, rows) if rows else None
