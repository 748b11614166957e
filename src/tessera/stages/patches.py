"""What a code sees: patches of images that got the same token, a row of `patches.png` a code.

Reads the tokens of images spread evenly over a split, for many sources hold one class after the
other, and then the images that it shows; no network runs. These lie all over the split too: each
shard that holds one is read once, from front to back where it is a tar, and only they are decoded
and kept. So a picture of 100 patches may read 100 shards, or all where there are fewer. A code of
an autoencoder was made of more than its patch: the picture shows the square of the grid.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tessera.config.data import Views
from tessera.config.illustrations import Patches
from tessera.data.images import ShardIndex, spread
from tessera.data.occurrences import Place, SomeTokens, draw_places, read_some, spread_codes
from tessera.errors import UserError
from tessera.io.images import write_png
from tessera.report.pictures.lettering import shortened
from tessera.report.pictures.patches import Cut, cut, sheet
from tessera.stages.job import Job, log, parse_settings, parser, part_file, run

STAGE = "patches"
CLASSES = 10
"""Classes of a code that the card tells of, the most frequent ones."""


def work(job: Job) -> None:
    """Draws the places, shows them, and says how often and in which classes each code comes."""
    arguments, settings = job.arguments, job.settings(Patches)
    facts = _facts(job, settings.split)
    job.input("shards", arguments.shards, "shards")
    index = ShardIndex(arguments.shards.parent / "index.json")
    chosen = spread(index.count(settings.split), settings.images)
    tokens = read_some([part_file(card) for card in arguments.tokens], chosen)
    counts = np.bincount(tokens.codes.ravel(), minlength=facts["vocabulary"])
    codes = spread_codes(counts, settings.clusters, settings.patches)
    drawn = {code: draw_places(tokens, code, settings.patches, settings.seed) for code in codes}
    cuts = _cuts(job, index, drawn, tuple(facts["grid"]), settings)
    entries = [_entry(tokens, code, index.classes, places) for code, places in drawn.items()]
    noun = "cluster" if facts["kind"] == "codebook" else "code"
    rows = [(_words(noun, entry), cuts[entry["code"]]) for entry in entries]
    for words, _ in rows:
        log.info("%s", ", ".join(words))
    picture = arguments.card.parent / "patches.png"
    write_png(picture, sheet(rows, settings.patches))
    results = {
        "split": settings.split,
        "images": len(tokens.codes),
        "tokens": int(counts.sum()),
        "used": int((counts > 0).sum()),
        "clusters": entries,
    }
    results |= {key: facts[key] for key in ("kind", "vocabulary", "grid")}
    job.finish(arguments.card, [picture], results)


def _facts(job: Job, split: str) -> dict[str, Any]:
    """What the token parts say of themselves.

    Raises:
        UserError: they are of the other split.
    """
    # The name tells a lost part's user which split it read.
    name = "validation_tokens" if split == "validation" else "tokens"
    cards = job.inputs(name, job.arguments.tokens, "tokens")
    facts: dict[str, Any] = cards[0]["results"]
    if facts["split"] != split:
        raise UserError(
            f"{job.arguments.tokens[0]} holds tokens of the split {facts['split']}, the settings "
            f"say {split}: give the cards of that one"
        )
    return facts


def _cuts(
    job: Job,
    index: ShardIndex,
    drawn: dict[int, list[Place]],
    grid: tuple[int, int],
    settings: Patches,
) -> dict[int, list[Cut]]:
    """Each code's patches, out of the very crops that were tokenised."""
    views = parse_settings(Views, job.node["inputs"]["tokens"]["inputs"]["views"])
    numbers = sorted({place.image for places in drawn.values() for place in places})
    images = index.take(settings.split, views, numbers, job.arguments.threads)
    pixels = dict(zip(numbers, images.pixels.transpose(0, 1, 3, 4, 2), strict=True))
    return {
        code: [
            cut(pixels[place.image][place.view], grid, place.position, settings.context)
            for place in places
        ]
        for code, places in drawn.items()
    }


def _entry(
    tokens: SomeTokens, code: int, classes: Sequence[str], places: Sequence[Place]
) -> dict[str, Any]:
    """How often a code comes, in which classes, and where the patches shown lie."""
    each = (tokens.codes == code).sum(axis=(1, 2))  # [N]
    by_class = np.bincount(tokens.labels, each, minlength=len(classes)).astype(int)
    ranked = np.argsort(-by_class, kind="stable")[:CLASSES]
    return {
        "code": code,
        "count": int(each.sum()),
        "images": int((each > 0).sum()),
        "class": classes[ranked[0]],
        "class_share": float(by_class.max() / each.sum()),
        "classes": {classes[label]: int(by_class[label]) for label in ranked if by_class[label]},
        "patches": [vars(place) for place in places],
    }


def _words(noun: str, entry: dict[str, Any]) -> list[str]:
    """What stands beside a row."""
    share = 100 * entry["class_share"]
    return [
        f"{noun} {entry['code']}",
        f"{entry['count']:,} times",
        f"{share:.{0 if share >= 10 else 1}f} % class {shortened(entry['class'])}",
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the stage from the command line."""
    arguments = parser(STAGE, __doc__)
    arguments.add_argument("--shards", type=Path, required=True, help="card of the shards")
    arguments.add_argument(
        "--tokens", type=Path, nargs="+", required=True, help="cards of all parts of the split"
    )
    return run(STAGE, arguments.parse_args(argv), work, computes=False)


if __name__ == "__main__":
    sys.exit(main())
