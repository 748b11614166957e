"""The training loop that all trainings share.

Everything random in an update is drawn after seeding with (seed, update), so the state to save is
what the task holds, and a resumed run repeats the undisturbed one bit for bit.

Of several processes the first writes; all read the checkpoint and all stop after the same update.
"""

import hashlib
import logging
import math
import signal
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tessera.errors import SharedError, StoppedError
from tessera.train.checkpoints import Checkpoint
from tessera.train.distributed import ALONE, Processes
from tessera.train.trackers import Tracker

log = logging.getLogger(__name__)


class Task(Protocol):
    """What the loop trains."""

    def update(self, step: int) -> dict[str, Tensor]:
        """One update: forward, backward, optimiser. Returns detached scalars, `loss` among them."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """All that the next update depends on: tensors, numbers, strings, lists and dicts."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Puts a saved state back."""
        ...


def seed_update(seed: int, step: int, micro: int = 0) -> None:
    """Seeds torch's global generators from (seed, step, micro).

    Each micro-batch of an update has a seed of its own, so that it does not matter which process
    computes it.
    """
    text = f"{seed}/{step}/{micro}" if micro else f"{seed}/{step}"
    digest = hashlib.sha256(text.encode()).digest()
    torch.manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def fit(
    task: Task,
    *,
    steps: int,
    seed: int,
    folder: Path,
    log_every: int = 50,
    checkpoint_every: int = 200,
    tensorboard: Path | None = None,
    on_log: Callable[[int], dict[str, float]] | None = None,
    show: Callable[[], Mapping[str, NDArray[np.uint8]]] | None = None,
    show_every: int = 0,
    processes: Processes = ALONE,
) -> int:
    """Runs updates up to `steps`, from the checkpoint in `folder` where there is one.

    Args:
        task: what is trained.
        steps: updates in all.
        seed: together with the update's number, the seed of all that is random.
        folder: resume folder: the checkpoint and `metrics.jsonl`. It stays after the last update,
            until the caller has written the results and removes it.
        log_every: updates between two lines of metrics.
        checkpoint_every: updates between two checkpoints.
        tensorboard: folder of the TensorBoard event files.
        on_log: called with the number of updates done, in all processes; its values, which are the
            same in all, join the metrics.
        show: gives pictures of what the model does now, for TensorBoard; called in the first
            process alone, it must leave the training as it finds it, even where it fails: that is
            a line in the log and ends nothing.
        show_every: updates between two calls of `show`, which is also called after the last one; 0
            calls it never. The same in all processes. A checkpoint that is due goes first, and who
            is asked to stop draws nothing: pictures of the update that a run goes on from are
            absent if it was stopped there, or died before they were drawn.
        processes: those that train together.

    Returns:
        The update that the run started from: 0, or that of the checkpoint.

    Raises:
        UserError: a metric is no longer a number, the disk is full, or the checkpoint is damaged.
        StoppedError: a SIGTERM arrived; the state is saved.
    """
    checkpoint = Checkpoint(folder)
    start = _resume(task, checkpoint, processes)
    if start:
        log.info("going on from update %d of %d", start, steps)
    tracker = None
    if processes.first:
        tracker = Tracker(folder / "metrics.jsonl", steps, tensorboard, done=start)
    with _Termination() as termination:
        for step in range(start, steps):
            seed_update(seed, step)
            metrics = task.update(step)
            done = step + 1
            asked = processes.any(termination.asked)
            save = done % checkpoint_every == 0 or done == steps or asked
            shows = show_every > 0 and (done % show_every == 0 or done == steps)
            if save or done == 1 or done % log_every == 0:
                values = processes.mean({name: float(value) for name, value in metrics.items()})
                _require_numbers(values, done)
                if done == 1 or done % log_every == 0 or done == steps:
                    values |= on_log(done) if on_log else {}
                    _require_numbers(values, done)  # the update itself may have broken the weights
                    if tracker is not None:
                        tracker.write(done, values)
            if save and tracker is not None:
                tracker.flush()
                checkpoint.save(done, task.state_dict())
            stops = asked or termination.asked  # now: a scheduler grants seconds
            if shows and show is not None and tracker is not None and not stops:
                _show(tracker, done, show)
                tracker.flush()  # no run that goes on from here draws them again
            if save or shows:
                processes.barrier()  # here, and not in the next update, where a GPU would wait
            if asked and done < steps:
                if tracker is not None:
                    tracker.close()
                raise StoppedError(
                    f"asked to stop: saved after update {done} of {steps}, run again to go on "
                    "from there"
                )
    if tracker is not None:
        tracker.close()
    return start


def _show(tracker: Tracker, done: int, show: Callable[[], Mapping[str, NDArray[np.uint8]]]) -> None:
    """Draws pictures; what goes wrong is a line in the log, since no result depends on them."""
    try:
        tracker.show(done, show())
    except Exception as error:
        lines = str(error).splitlines()
        reason = ": ".join([type(error).__name__, *lines[:1]])
        log.warning("TensorBoard gets no pictures: after update %d, %s", done, reason)


def _resume(task: Task, checkpoint: Checkpoint, processes: Processes) -> int:
    """Puts the saved state back, where there is one; returns its update."""
    saved = checkpoint.load()
    start, state = saved or (0, None)
    found = processes.gather(start)
    if len(set(found)) > 1:
        raise SharedError(
            f"{checkpoint.file} is not the same for all processes (updates {found}): put the "
            "folder `results` of the config on a disk that all nodes share"
        )
    if state is not None:
        _put_back(task, state, checkpoint.file)
    return start


def _put_back(task: Task, state: dict[str, Any], file: Path) -> None:
    try:
        task.load_state_dict(state)
    except (RuntimeError, KeyError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[-1].strip()
        raise SharedError(
            f"the checkpoint {file} does not fit this training ({reason}): delete its folder and "
            "run again; the training starts over"
        ) from error


def _require_numbers(metrics: dict[str, float], step: int) -> None:
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise SharedError(
                f"{name} is {value} after update {step}: lower the learning rate, lengthen the "
                "warm-up or clip the gradients more tightly; the last checkpoint is kept"
            )


class _Termination:
    """Notes a SIGTERM (a scheduler's time limit) so that the loop can save and stop."""

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> "_Termination":
        self._old = signal.signal(signal.SIGTERM, self._note)
        return self

    def _note(self, number: int, frame: types.FrameType | None) -> None:
        self.asked = True

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self._old)
