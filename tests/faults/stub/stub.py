"""Stands for `python -m tessera.stages.<stage> …`: small files and a true card, in no time.

What it makes depends on its settings and on what its input cards tell, as in a real stage. It
writes down that it ran. The job of one card waits until a file exists (`STUB_HOLD=<card>:<file>`),
fails (`STUB_FAIL=<card>`), or comes out otherwise (`STUB_SALT=<card>`).
"""

import hashlib
import json
import os
import re
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

from tessera.io.cards import read_card, write_card
from tessera.io.files import whole_file
from tessera.io.shapes import PART_SUFFIX
from tessera.io.turns import turn

TRAINED = ("model.safetensors", "model.json", "metrics.jsonl")
FILES = dict.fromkeys(("encoder", "autoencoder", "extractor", "stage1", "stage2"), TRAINED)
FILES |= {"codebook": ("centroids.npy",), "usage": ("histograms.npz",)}
FILES |= {"samples": ("samples.npz", "grid.png"), "index": ("index.html",)}
PARTED = ("features", "tokens", "sampling")


def options(words: list[str]) -> dict[str, list[str]]:
    """Flag → its words."""
    found: dict[str, list[str]] = {}
    for word in words:
        if word.startswith("--"):
            values = found.setdefault(word[2:], [])
        else:
            values.append(word)
    return found


def read_inputs(stage: str, given: dict[str, list[str]]) -> dict[str, str]:
    """Reads the cards as a stage does: a damaged one ends it."""
    if stage in ("tables", "figures", "index"):
        cards = {Path(card).relative_to("results").as_posix(): card for card in every_card(given)}
    else:
        cards = {
            f"{flag}/{Path(word).name}" if "/part-" in word else f"{flag}/{word}": word
            for flag, words in given.items()
            for word in words
            if flag not in ("settings", "card", "index") and word.endswith(".json")
        }
    return {name: read_card(card)["digest"] for name, card in cards.items()}


def every_card(given: dict[str, list[str]]) -> list[str]:
    """The cards that tables and figures show: of a split stage the first part is named."""
    return sorted(
        str(card)
        for flag in ("cards", "tables", "figures")
        for named in map(Path, given.get(flag, ()))
        for card in named.parent.glob(re.sub(r"\d{4}", "[0-9]" * 4, named.name, count=1))
    )


def names(stage: str, given: dict[str, list[str]], card: Path) -> list[Path]:
    """The files that a stage writes beside its card."""
    if stage == "shards":
        counts = zip(("train", "validation"), map(int, given["shards"]), strict=True)
        shards = [f"{split}-{i:05d}-of-{n:05d}.tar" for split, n in counts for i in range(n)]
        return [card.parent / name for name in ("index.json", *shards)]
    if stage in PARTED:
        return [card.with_suffix(PART_SUFFIX)]
    if stage in ("tables", "figures"):
        return [Path(line) for line in Path(f"{stage}.files").read_text().splitlines()]
    if stage == "neighbours":
        return [card.with_suffix(".png")]
    return [card.parent / name for name in FILES.get(stage, ())]


def write_part(file: Path, content: bytes) -> None:
    """A zarr part of one array, uint8 [4, 8]; zarr takes half a second to import."""
    fixed = (1980, 1, 1, 0, 0, 0)
    metadata = json.dumps({"shape": [4, 8], "node_type": "array"}).encode()
    entries = {"zarr.json": b"{}", "x/zarr.json": metadata, "x/c/0/0": content}
    with whole_file(file) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(name, fixed), data)


def main(module: str, words: list[str]) -> None:
    """Runs one job."""
    stage, given = module.rpartition(".")[2], options(words)
    card, node = Path(given["card"][0]), json.loads(given["settings"][0])
    with open("runs.txt", "a") as stream:
        stream.write(f"{card}\n")
    with turn(card) as waited:
        if not (waited and card.exists()):
            make(stage, given, card, node)


def make(stage: str, given: dict[str, list[str]], card: Path, node: dict[str, Any]) -> None:
    """Writes the files of a job, its card last."""
    held, _, until = os.environ.get("STUB_HOLD", "").partition(":")
    while str(card) == held and not Path(until).exists():
        time.sleep(0.02)
    if str(card) == os.environ.get("STUB_FAIL"):
        sys.exit("failed as told")
    inputs = read_inputs(stage, given)
    salt = str(card) == os.environ.get("STUB_SALT")
    told = json.dumps([node, inputs, given.get("part"), given.get("split"), salt], sort_keys=True)
    made = [file for file in names(stage, given, card) if file != card]
    for file in made:
        content = hashlib.sha256(f"{told}{file.name}".encode()).digest()
        if stage in PARTED:
            write_part(file, content)
        else:
            with whole_file(file) as temporary:
                temporary.write_bytes(content)
    outputs = [file for file in made if file.name != "metrics.jsonl"]
    write_card(
        card,
        node,
        inputs,
        outputs,
        {"made": hashlib.sha256(told.encode()).hexdigest()},
        {"seconds": 1.0},
    )


if __name__ == "__main__":
    main(sys.argv[2], sys.argv[3:])
