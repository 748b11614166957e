"""The table of trainings: size, length, losses, and what each took."""

from collections.abc import Mapping

from tessera.report.collection import TRAININGS, Collection, seeds
from tessera.report.table import Column, Table, fixed, parameter_count, shown

MEASURES = {
    "psnr_db": ("PSNR", "dB"),
    "code_entropy_bits": ("entropy", "bits"),
}
"""Key of a validation → its name and unit where people read; others are their own names."""


def told(measures: Mapping[str, float]) -> str | None:
    """Validations in words: "entropy 5.678 bits, PSNR 23.14 dB"; None where there are none."""
    texts = []
    for key, value in measures.items():
        name, unit = MEASURES.get(key, (key.replace("_", " "), ""))
        texts.append(f"{name} {shown(value)} {unit}".strip())
    return ", ".join(texts) or None


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
                "validation": told({k: v for k, v in validation.items() if k != "used_codes"}),
                "seconds": run["seconds"],
                "peak_memory_mb": run["peak_memory_mb"],
                "device": run["device"],
                "threads": run["threads"],
                "seeds": seeds(card.node),
                "card": card.path,
            }
        )
    devices = sorted({str(row["device"]) for row in rows})
    columns = [
        Column("stage", "Stage"),
        Column("variant"),
        Column("label", "Model", data=False),
        Column("parameters", "Param.", show=parameter_count),
        Column("steps", "Updates"),
        Column("images_seen"),
        Column("final_loss", "Loss"),
        Column("validation_loss", "Validation\nloss"),
        Column("validation", "Further\nvalidation"),
        Column("seconds", "Time\n(s)", show=fixed(1)),
        Column("peak_memory_mb", "Peak memory\n(MB)", show=fixed(0)),
        Column("device", "Device" if len(devices) > 1 else ""),
        Column("threads"),
        Column("seeds"),
        Column("card"),
    ]
    caption = (
        "Trainings. The loss is that of the last line of the log, with dropout and label "
        "smoothing where these are on; the validation loss is without."
        f"{f' All ran on {devices[0]}.' if len(devices) == 1 else ''}"
    )
    return Table("trainings", caption, columns, rows) if rows else None
