"""Autoregressive stage-2 sampling: a prefix fed at once, then codes, against the limit."""

import sys
from collections.abc import Mapping
from typing import Any

from benchmarks.harness import Report, fast_bfloat16, main, time_side_by_side
from benchmarks.sampling import LIMIT, REFERENCE, Machine, build, drawing, rate, reckoned, work
from tessera.models.decoder_config import SIZES
from tessera.sampling.engine import DTYPES, Engine, Precision

TOP_P = 0.8
PREFIX = {"prefix_vocabulary": 8192, "prefix_length": 256}
BATCH, REPEATS = 64, 2
SECONDS = 150.0
FULL: Mapping[str, Any] = {
    **SIZES["base"], **PREFIX, "vocabulary": 1024, "length": 256, "max_positions": 257,
    "norm": "post",
}  # fmt: skip
FULL_BATCH = 1024


def measure(device: str, full: bool) -> Report:
    """Autoregressive stage-2 sampling beside its limit."""
    return on_a_gpu(device) if full else on_a_processor(device)


def on_a_processor(device: str) -> Report:
    """At the width and depth at which the original's stage 1 was timed."""
    model = build(device, {**REFERENCE, **PREFIX})
    figures, left, tokens = [], [], BATCH * model.config.length
    precisions: list[Precision] = ["float32"]
    if fast_bfloat16(device):
        precisions.append("bfloat16")
    else:
        left.append("bfloat16 (at least 3x float32): the processor has none")
    rates: dict[str, float] = {}
    for precision in precisions:
        made = Engine(model, BATCH, top_p=TOP_P, precision=precision)
        timing = time_side_by_side({"": drawing(made, BATCH)}, device, REPEATS, warm=0)[""]
        rates[precision] = tokens / timing.median
        machine = Machine.measured(DTYPES[precision], device)
        least = work(model.config, BATCH, DTYPES[precision].itemsize)
        name = f"{precision}, batch {BATCH}"
        if precision == "bfloat16":
            figures.append(rate(name, timing, tokens, "float32", rates["float32"], target=3.0))
        target = 0.8 if precision == "float32" else None
        reading = least.cache / machine.bytes / timing.median
        figures += [
            rate(f"{name}, against the limit", timing, tokens, LIMIT,
                 tokens / least.seconds(machine), target=target),
            rate(f"{name}, against products alone", timing, tokens,
                 "all products at the matrix rate", tokens * machine.flops / least.flops,
                 note=f"reading the cache at the bandwidth takes {reading:.0%} of the time"),
        ]  # fmt: skip
    sizes = {**REFERENCE, **PREFIX, "batch": BATCH, "top_p": TOP_P}
    return Report(benchmark="stage2_sampling", sizes=sizes, figures=figures, left_out=left)


def on_a_gpu(device: str) -> Report:
    """At the paper's shape in bfloat16."""
    made = Engine(build(device, FULL), FULL_BATCH, top_p=TOP_P, precision="bfloat16")
    figures, _ = reckoned(made, SECONDS)
    sizes = {**FULL, "batch": FULL_BATCH, "top_p": TOP_P}
    return Report(benchmark="stage2_sampling", sizes=sizes, figures=figures)


if __name__ == "__main__":
    sys.exit(main(measure))
