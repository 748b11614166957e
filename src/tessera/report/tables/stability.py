"""The table of stability: tokens that change under noise."""

from typing import Any

from tessera.report.collection import Collection, seeds
from tessera.report.table import Column, Table, fixed


def stability(cards: Collection) -> Table | None:
    """A row a noise level, columns for each tokenizer."""
    found = cards.of("stability")
    rows: list[dict[str, Any]] = []
    pairs: dict[str, str] = {}
    for card in found:
        by_level: dict[float, dict[str, Any]] = {}
        for measured in card.results["rows"]:
            level = measured["snr_db"]
            name = f"{measured['kind']} {measured['tokenizer']}"
            pairs[name] = cards.label(f"{measured['kind']}s", measured["tokenizer"])
            row = by_level.setdefault(
                level,
                {
                    "variant": card.variant,
                    "label": cards.label("stabilities", card.variant),
                    "snr_db": level,
                    "images": card.results["images"],
                    "noise_seeds": " ".join(map(str, card.results["seeds"])),
                    "seeds": seeds(card.node),
                    "card": card.path,
                },
            )
            for key in ("changed_mean", "changed_std", "cosine_mean", "cosine_std"):
                row[f"{name} {key}"] = measured[key]
        rows += by_level.values()
    columns = [
        Column("variant"),
        Column("label", "Images" if len(found) > 1 else "", data=False),
        Column("snr_db", "SNR (dB)", show=lambda level: f"{level:g}"),
    ]
    for key, title in (("changed", "tokens changed"), ("cosine", "cosine")):
        for name, label in pairs.items():
            mean, std = f"{name} {key}_mean", f"{name} {key}_std"
            columns.append(Column(mean, f"{label}:\n{title}", spread=std, show=fixed(3)))
            columns.append(Column(std))
    columns += [Column(key) for key in ("images", "noise_seeds", "seeds", "card")]
    over = dict.fromkeys(
        f"{card.results['images']:,} images, {len(card.results['seeds'])} draws of noise each"
        for card in found
    )
    caption = (
        "Tokens under white Gaussian noise on the pixels: share of tokens that change, and cosine "
        "similarity of the embeddings before and after (mean ± standard deviation, n - 1, over "
        f"images and draws: {'; '.join(over)}). The SNR of each image is that of its own mean "
        "square pixel."
    )
    return Table("stability", caption, columns, rows) if rows else None
