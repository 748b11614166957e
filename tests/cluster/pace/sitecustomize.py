"""Python reads this at its start: a training waits before each update for the seconds in a file."""

import os
import sys
import time
from pathlib import Path

if "PACE" in os.environ and "tessera.stages.stage1" in sys.orig_argv:
    from tessera.train import loop

    seed_update = loop.seed_update

    def waiting(*arguments: int) -> None:
        time.sleep(float(Path(os.environ["PACE"]).read_text()))
        seed_update(*arguments)

    loop.seed_update = waiting
