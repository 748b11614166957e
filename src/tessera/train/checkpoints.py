"""The state of an unfinished training on disk.

One file, replaced as a whole: what is read is always a complete state of some update.
"""

import shutil
from pathlib import Path
from typing import Any

import torch

from tessera.errors import UserError
from tessera.io.files import whole_file


class Checkpoint:
    """The resume folder of one training.

    Args:
        folder: named by the digest of the training's settings and inputs, so that a changed
            setting never resumes an old state.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    @property
    def file(self) -> Path:
        """The state's file."""
        return self.folder / "state.pt"

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Replaces the state by that after `step` updates.

        Raises:
            UserError: the disk is full; the earlier state stays.
        """
        with whole_file(self.file) as temporary:
            torch.save({"step": step, "state": state}, temporary)

    def load(self) -> tuple[int, dict[str, Any]] | None:
        """The number of updates done and the state, or None where nothing was saved.

        Raises:
            UserError: the file is damaged, or holds anything but tensors and plain values, which
                is not run.
        """
        if not self.file.exists():
            return None
        try:
            saved = torch.load(self.file, map_location="cpu", weights_only=True)
            if not isinstance(saved, dict):
                raise TypeError(f"a {type(saved).__name__} and no state")
            return int(saved["step"]), dict(saved["state"])
        except Exception as error:  # reading half a file, or another one, raises almost anything
            raise UserError(
                f"the checkpoint {self.file} is damaged: delete its folder and run again; "
                "the training starts over"
            ) from error

    def remove(self) -> None:
        """Deletes the folder: the training is finished and its results are written."""
        shutil.rmtree(self.folder, ignore_errors=True)
