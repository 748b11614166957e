"""Metrics of a training while it runs: JSON lines, TensorBoard with pictures, log lines."""

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch.utils.tensorboard.writer import SummaryWriter

from tessera.io.files import write_text

log = logging.getLogger(__name__)


class Tracker:
    """Writes a training's metrics.

    A resumed training drops the lines after its checkpoint, so the file reads as if nothing had
    happened.

    Args:
        lines: the JSON-lines file.
        steps: updates in all, for the time left.
        tensorboard: folder of the event files; None writes none.
        done: updates that a checkpoint already holds.
    """

    def __init__(
        self, lines: Path, steps: int, tensorboard: Path | None = None, done: int = 0
    ) -> None:
        self.lines, self.steps, self.done = lines, steps, done
        kept = [line for line in _read(lines) if json.loads(line)["step"] <= done] if done else []
        write_text(lines, "".join(line + "\n" for line in kept))  # whole: a kill here loses none
        self._events = None
        if tensorboard is not None:
            if not done:
                for old in tensorboard.glob("events.out.tfevents.*"):
                    old.unlink()
            self._events = SummaryWriter(str(tensorboard), purge_step=done + 1 if done else None)
        self._start = time.monotonic()

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """Records the metrics of the update after which `step` updates are done."""
        with self.lines.open("a") as file:
            file.write(json.dumps({"step": step, **metrics}) + "\n")
        if self._events is not None:
            for name, value in metrics.items():
                self._events.add_scalar(name, value, step)
        seconds = time.monotonic() - self._start
        left = seconds / max(1, step - self.done) * (self.steps - step)
        shown = "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        log.info("update %d of %d  %s  (%.0f s left)", step, self.steps, shown, left)

    def show(self, step: int, pictures: Mapping[str, NDArray[np.uint8]]) -> None:
        """Adds pictures, uint8 [H, W, 3], to the event file."""
        if self._events is not None:
            for name, picture in pictures.items():
                self._events.add_image(f"pictures/{name}", picture, step, dataformats="HWC")

    def flush(self) -> None:
        """Writes what the event file still keeps back: a resumed training does not repeat it."""
        if self._events is not None:
            self._events.flush()

    def close(self) -> None:
        """Flushes the event file."""
        if self._events is not None:
            self._events.close()


def _read(lines: Path) -> list[str]:
    if not lines.exists():
        return []
    # A killed process may leave a last line without its end; the update it tells of runs again.
    return [line for line in lines.read_text().splitlines() if line.endswith("}")]
