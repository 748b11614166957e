"""The state of an unfinished training on disk, and the one before it.

Each is a file that is replaced as a whole. The earlier one is kept, since a disk may lose a file
that was written well: a training of weeks then loses the work between two states, and not all. It
takes as much room again, but no more than the writing of a state needs anyway: the earlier one is
deleted before the next is written.
"""

import logging
import os
import shutil
from pathlib import Path
from typing import Any

import torch

from tessera.errors import UserError
from tessera.io.files import whole_file
from tessera.io.states import state_fault

log = logging.getLogger(__name__)


class Checkpoint:
    """The resume folder of one training.

    Args:
        folder: named by the digest of the training's settings and inputs, so that a changed
            setting never resumes an old state.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self._fell_back = False

    @property
    def file(self) -> Path:
        """The state's file."""
        return self.folder / "state.pt"

    @property
    def earlier(self) -> Path:
        """The file of the state before."""
        return self.folder / "earlier.pt"

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Replaces the state by that after `step` updates, and the earlier one by the last.

        Raises:
            UserError: the disk is full; the last state stays.
        """
        keeps_last = self.file.exists() and not self._fell_back
        if keeps_last:
            self.earlier.unlink(missing_ok=True)
        with whole_file(self.file) as temporary:
            # To an open file: given a name, torch writes by itself and hides why it cannot.
            with temporary.open("wb") as stream:
                torch.save({"step": step, "state": state}, stream)
            if keeps_last:
                _also_name(self.file, self.earlier)
        self._fell_back = False

    def load(self) -> tuple[int, dict[str, Any]] | None:
        """The number of updates done and the state, or None where nothing was saved.

        A damaged state is passed over for the earlier one, with a warning.

        Raises:
            UserError: no file is whole, or one holds anything but tensors and plain values, which
                is not run.
        """
        reasons = {}
        for file in (self.file, self.earlier):
            if file.exists():
                try:
                    return _read(file)
                except Exception as error:  # half a file, or another one, raises almost anything
                    self._fell_back = True
                    reasons[file] = (str(error).splitlines() or [type(error).__name__])[0]
                    log.warning("the checkpoint %s is damaged: %s", file, reasons[file])
        if reasons:
            raise UserError(
                f"the checkpoint {self.file} is damaged, and so is what was before it: delete its "
                "folder and run again; the training starts over"
            )
        return None

    def remove(self) -> None:
        """Deletes the folder: the training is finished and its results are written."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _read(file: Path) -> tuple[int, dict[str, Any]]:
    # torch does not compare the checksums that it writes: a flipped bit would become a weight.
    if fault := state_fault(file):
        raise ValueError(fault)
    saved = torch.load(file, map_location="cpu", weights_only=True)
    if not isinstance(saved, dict):
        raise TypeError(f"a {type(saved).__name__} and no state")
    return int(saved["step"]), dict(saved["state"])


def _also_name(file: Path, other: Path) -> None:
    """Gives a file a second name, and so one that stays when the first is given to another."""
    try:
        os.link(file, other)
    except OSError:  # a file system without hard links: for a moment there is the other name alone
        file.rename(other)
