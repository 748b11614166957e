"""How a token set uses its vocabulary: codes counted over the training split, class by class.

Writes `histograms.npz`: `codes` int64 [K] and `by_class` int64 [C, K], how often each code comes;
`dead` int64, the codes that never do; `entropy_by_class` float64 [C], bits. dask counts, on threads
or on a cluster; the tokens are never in memory as a whole.
"""

import sys
from collections.abc import Sequence
from math import log2
from pathlib import Path
from typing import Any

import numpy as np

from tessera.data.computing import computing
from tessera.data.counts import count_codes
from tessera.io.files import whole_file
from tessera.io.parts import open_part
from tessera.metrics.usage import class_entropies, usage
from tessera.stages.job import Job, add_dask, log, parser, part_file, run

STAGE = "usage"


def work(job: Job) -> None:
    """Counts the codes and says what their histograms say."""
    arguments = job.arguments
    cards = job.inputs("tokens", arguments.tokens, "tokens")
    parts = [part_file(card) for card in arguments.tokens]
    with open_part(parts[0]) as group:
        attributes: dict[str, Any] = dict(group.attrs)
    classes, vocabulary = len(attributes["classes"]), int(attributes["vocabulary"])
    log.info(
        "%d codes, %d classes: a table takes %.1f MB and each task holds one",
        vocabulary, classes, 8e-6 * classes * vocabulary,
    )  # fmt: skip
    logs = arguments.card.parent.parent.parent / "logs" / "dask"
    with computing(arguments.dask, arguments.threads, parts, logs) as at_once:
        log.info("%d tasks at once on %s", at_once, arguments.dask.scheduler)
        table = count_codes(parts, classes, vocabulary)
    codes = table.sum(axis=0)
    results = usage(table) | {
        "vocabulary": vocabulary,
        "classes": classes,
        "images": sum(card["results"]["images"] for card in cards),
        "views": cards[0]["results"]["views"],
        "kind": cards[0]["results"]["kind"],
    }
    log.info(
        "%d codes counted, %d of %d used, entropy %.2f of %.2f bits, of which %.2f tell the class",
        results["codes"], results["used"], vocabulary, results["entropy_bits"], log2(vocabulary),
        results["class_information_bits"],
    )  # fmt: skip
    file = arguments.card.parent / "histograms.npz"
    with whole_file(file) as temporary, temporary.open("wb") as stream:
        np.savez(
            stream,
            codes=codes,
            by_class=table,
            dead=np.flatnonzero(codes == 0),
            entropy_by_class=class_entropies(table),
        )
    job.finish(arguments.card, [file], results, run={"scheduler": arguments.dask.scheduler})


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the stage from the command line."""
    arguments = parser(STAGE, __doc__)
    add_dask(arguments)
    arguments.add_argument("--tokens", type=Path, nargs="+", required=True, help="part cards")
    return run(STAGE, arguments.parse_args(argv), work, computes=False)


if __name__ == "__main__":
    sys.exit(main())
