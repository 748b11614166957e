"""Stage-1 sampling: the engine against the memory's limit and against the original's way.

On a processor at the shape at which the original was timed, on a GPU at that of the paper.
"""

import sys
from collections.abc import Mapping
from typing import Any

import torch

from benchmarks.harness import Report, fast_bfloat16, main, time_side_by_side
from benchmarks.sampling import LIMIT, REFERENCE, Machine, build, drawing, rate, reckoned, work
from benchmarks.toolkit import Toolkit
from tessera.models.decoder_config import SIZES
from tessera.sampling.engine import DTYPES, Engine, Precision

TOP_K = 200
ORIGINAL = 648.0
"""Tokens a second of the original at `REFERENCE`, batch 16, on 2 threads of an AMD EPYC."""
BATCH, LARGER = 16, (128,)
SECONDS = 60.0
FULL: Mapping[str, Any] = {
    **SIZES["base"], "vocabulary": 8192, "length": 256, "max_positions": 257, "norm": "post"
}  # fmt: skip
FULL_BATCH, TOOLKIT_BATCH = 1024, 256
REPEATS = 2


def measure(device: str, full: bool) -> Report:
    """Stage-1 sampling: images a second, beside its limit and the original's way."""
    return on_a_gpu(device) if full else on_a_processor(device)


def on_a_processor(device: str) -> Report:
    """At the shape of the reference, batch 16, and at larger batches."""
    model = build(device, REFERENCE)
    toolkit, tokens = Toolkit(model), model.config.length
    small = Engine(model, BATCH, top_k=TOP_K)
    timed = time_side_by_side(
        {"toolkit": lambda: toolkit(BATCH, TOP_K), "engine": drawing(small, BATCH)},
        device,
        repeats=REPEATS,
        warm=0,
    )
    original = BATCH * tokens / timed["toolkit"].median
    machine = Machine.measured(torch.float32, device)
    figures = [
        rate("float32, batch 16", timed["engine"], BATCH * tokens, "the original's way here",
             original, target=2.2),
        rate("float32, batch 16, against the published figure", timed["engine"], BATCH * tokens,
             "the original on 2 threads of an EPYC", ORIGINAL,
             note="another machine: only the figure beside it compares like with like"),
        rate("float32, batch 16, against the limit", timed["engine"], BATCH * tokens, LIMIT,
             BATCH * tokens / work(model.config, BATCH, 4).seconds(machine)),
    ]  # fmt: skip
    best = fast_bfloat16(device)
    left = [] if best else ["bfloat16 (at least 10x the original): the processor has none"]
    settings: list[tuple[int, Precision]] = [(batch, "float32") for batch in LARGER]
    if best:
        settings.append((LARGER[-1], "bfloat16"))
    for batch, precision in settings:
        made = Engine(model, batch, top_k=TOP_K, precision=precision)
        name = f"{precision}, batch {batch}"
        timing = time_side_by_side({name: drawing(made, batch)}, device, repeats=1, warm=0)[name]
        machine = Machine.measured(DTYPES[precision], device)
        target = 10.0 if precision == "bfloat16" else None
        figures.append(
            rate(name, timing, batch * tokens, "the original's way here, batch 16", original,
                 target=target)
        )  # fmt: skip
        limit = work(model.config, batch, DTYPES[precision].itemsize).seconds(machine)
        against = f"{name}, against the limit"
        figures.append(rate(against, timing, batch * tokens, LIMIT, batch * tokens / limit))
    sizes = {**REFERENCE, "batches": [BATCH, *LARGER], "top_k": TOP_K}
    return Report(benchmark="stage1_sampling", sizes=sizes, figures=figures, left_out=left)


def on_a_gpu(device: str) -> Report:
    """At the paper's shape in bfloat16."""
    model = build(device, FULL)
    made = Engine(model, FULL_BATCH, top_k=TOP_K, precision="bfloat16")
    figures, again = reckoned(made, SECONDS)
    del made  # its cache takes the memory that the next one needs
    tokens, toolkit = model.config.length, Toolkit(model.bfloat16())
    plain = time_side_by_side({"": lambda: toolkit(TOOLKIT_BATCH, TOP_K)}, device, repeats=1)[""]
    figures.append(
        rate(f"bfloat16, batch {FULL_BATCH}", again, FULL_BATCH * tokens,
             f"the original's way here, batch {TOOLKIT_BATCH}",
             TOOLKIT_BATCH * tokens / plain.median)
    )  # fmt: skip
    sizes = {**FULL, "batch": FULL_BATCH, "top_k": TOP_K}
    return Report(benchmark="stage1_sampling", sizes=sizes, figures=figures)


if __name__ == "__main__":
    sys.exit(main(measure))
