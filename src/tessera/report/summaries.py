"""The tables of probes, stability, tokenizers and trainings."""

import math
from collections.abc import Sequence
from typing import Any

from tessera.config.lineage import draws_semantic
from tessera.report.collection import TRAININGS, Card, Collection, group_by, seeds
from tessera.report.table import Column, Table, fixed, percent, shown


def linear_probe(cards: Collection) -> Table | None:
    """A row a model: its best layer."""
    rows = []
    for card in cards.of("probe"):
        best = next(
            layer
            for layer in card.results["layers"]
            if layer["layer"] == card.results["best_layer"]
        )
        model = cards.made_from(card.node["inputs"]["stage1"])
        rows.append(
            _probed(cards, card)
            | {
                "best_layer": best["layer"],
                "layers": len(card.results["layers"]),
                "top1": best["top1"],
                "top5": best["top5"],
                "parameters": model.results["parameters"] if model else None,
                "seeds": seeds(card.node),
            }
        )
    columns = [
        Column("variant"),
        Column("probe"),
        Column("model", "Model"),
        Column("tokens", "Tokens"),
        Column("parameters", "Parameters"),
        Column("best_layer", "Best layer"),
        Column("layers", "Layers probed"),
        Column("top1", "Top-1 (%)", best="high", show=percent),
        Column("top5", "Top-5 (%)", best="high", show=percent),
        Column("conditional"),
        Column("seeds"),
        Column("card"),
    ]
    caption = (
        "Linear classifiers on mean-pooled hidden states: the best layer of each model on the "
        "validation split. Layer 0 is the embedding."
    )
    return Table("linear_probe", caption, columns, rows) if rows else None


def linear_probe_layers(cards: Collection) -> Table | None:
    """A row a model and layer."""
    rows = [
        _probed(cards, card) | {key: layer[key] for key in ("layer", "top1", "top5")}
        for card in cards.of("probe")
        for layer in card.results["layers"]
    ]
    names = ("variant", "probe", "tokens", "conditional", "layer", "top1", "top5", "card")
    columns = [Column(name, name) for name in names]
    return Table("linear_probe_layers", "Every layer.", columns, rows) if rows else None


def _probed(cards: Collection, card: Card) -> dict[str, Any]:
    stage1 = card.node["inputs"]["stage1"]
    return {
        "variant": card.each,
        "probe": card.variant,
        "model": cards.label("stage1", card.each),
        "tokens": "semantic" if draws_semantic(stage1) else "VQ codes",
        "conditional": stage1["settings"]["class_conditional"],
        "card": card.path,
    }


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
            columns.append(Column(mean, f"{label}: {title}", spread=std, show=fixed(3)))
            columns.append(Column(std))
    columns += [Column(key) for key in ("images", "noise_seeds", "seeds", "card")]
    caption = (
        "Tokens under white noise on the pixels: share of tokens that change, and cosine "
        "similarity of the embeddings before and after (mean and standard deviation over images "
        "and seeds)."
    )
    return Table("stability", caption, columns, rows) if rows else None


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
        Column("entropy_bits", "Entropy (bits)"),
        Column("points", "Points"),
        Column("objective", "Objective"),
        Column("empty", "Empty"),
        Column("tiny", "Tiny"),
        *(Column(key, key.capitalize().replace("_", " ")) for key in measured),
        Column("seeds"),
        Column("card"),
    ]
    caption = (
        "Tokenizers. A codebook is K-Means over the points: the objective is the sum of squared "
        "distances, tiny clusters have fewer than 39 points. Codes of an autoencoder are counted "
        "over the tokens of the training split."
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
        Column("codes", "Codes counted"),
        Column("used", "Used"),
        Column("dead", "Dead"),
        Column("entropy_bits", "Entropy (bits)", show=fixed(2)),
        Column("max_bits", "At most (bits)", show=fixed(2)),
        Column("perplexity", "Perplexity", show=fixed(0)),
        Column("class_entropy_bits", "Entropy in a class (bits)", show=fixed(2)),
        Column("class_information_bits", "Of the class (bits)", show=fixed(2)),
        Column("seeds"),
        Column("card"),
    ]
    caption = (
        "Codes of each token set over the training split, all views. Dead codes never come; the "
        "perplexity is 2 to the power of the entropy; what a code tells of the class is the "
        "entropy less the mean entropy in a class."
    )
    return Table("usage", caption, columns, rows) if rows else None


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
