"""How many tokens change when noise is added to the pixels (DiGIT's Table 1)."""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from tessera.config.data import Views
from tessera.config.results import Stability
from tessera.data.images import ShardIndex, spread
from tessera.metrics.stability import measure_stability
from tessera.stages.job import Job, log, parse_settings, parser, run
from tessera.stages.tokenizing import Tokenizer, find_card, open_codebook, vqgan_tokenizer

STAGE = "stability"


def work(job: Job) -> None:
    """Measures all tokenizers under the same noise."""
    arguments, inputs = job.arguments, job.node["inputs"]
    settings = job.settings(Stability)
    job.input("shards", arguments.shards, "shards")
    views = parse_settings(Views, inputs["views"])
    index = ShardIndex(arguments.shards.parent / "index.json")
    numbers = spread(index.count("validation"), settings.images)
    images = index.take("validation", views, numbers, arguments.threads)
    pixels = torch.from_numpy(images.pixels[:, 0])
    tokenizers: dict[str, Tokenizer] = {}
    kinds = {}
    for name, node in inputs["codebooks"].items():
        tokenizers[name], _, _ = open_codebook(job, node, arguments.tokenizers, name)
        kinds[name] = "codebook"
    for name, node in inputs["autoencoders"].items():
        card = find_card(job, arguments.tokenizers, node, name)
        tokenizers[name] = vqgan_tokenizer(card.parent, arguments.device)[0]
        kinds[name] = "autoencoder"
    rows = measure_stability(
        pixels.to(arguments.device), settings.levels, settings.seeds, tokenizers, arguments.batch
    )
    for row in rows:
        row["kind"] = kinds[str(row["tokenizer"])]
        log.info(
            "%s at %g dB: %.1f %% of the tokens change, cosine %.3f", row["tokenizer"],
            row["snr_db"], 100 * float(row["changed_mean"]), row["cosine_mean"],
        )  # fmt: skip
    results = {"images": len(pixels), "seeds": list(settings.seeds), "rows": rows}
    job.finish(arguments.card, [], results)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the stage from the command line."""
    arguments = parser(STAGE, __doc__)
    arguments.add_argument("--batch", type=int, default=256, help="images at once")
    arguments.add_argument("--shards", type=Path, required=True, help="card of the shards")
    arguments.add_argument("--tokenizers", type=Path, nargs="+", required=True, help="cards")
    return run(STAGE, arguments.parse_args(argv), work)


if __name__ == "__main__":
    sys.exit(main())
