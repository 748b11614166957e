"""How fast this machine's CPU is at products: a measurement of a quarter of a second."""

import os
import subprocess
import sys

SIDE, TRIES = 768, 8
CODE = f"""
import time
import numpy
a = numpy.ones(({SIDE}, {SIDE}), numpy.float32)
best = float("inf")
for _ in range({TRIES}):
    start = time.process_time()
    a @ a
    best = min(best, time.process_time() - start)
print(2 * {SIDE} ** 3 / best)
"""


def measured_rate() -> float | None:
    """Operations a second of one thread, float32; None where it could not be measured.

    In a process of its own, since numpy reads how many threads it may use when it is imported; by
    the processor's time, since other work may go on beside it.
    """
    one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    made = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, env=os.environ | one
    )
    return float(made.stdout) if made.returncode == 0 else None
