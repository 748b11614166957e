"""A folder of reference vectors, read without executing anything, and what was used of it."""

import json
import zipfile
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tessera.io.published import read_checkpoint

MODELS = ("stage1_uncond", "stage1_cls", "stage2_ar", "stage2_vq", "stage2_nar")


class ReferenceSet:
    """Arrays, weights and facts of a folder in the format of digit-golden.

    Args:
        folder: holds manifest.json, .npz, .npy, .pt, .pth, .ckpt and .codecs files; any of them
            may be absent.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.used: set[str] = set()
        self.kept: dict[str, Any] = {}

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The facts of manifest.json; empty where there is none."""
        path = self.folder / "manifest.json"
        return json.loads(path.read_text()) if path.is_file() else {}

    def fact(self, path: str, default: Any = None) -> Any:
        """An entry of the manifest, its keys joined by `/`."""
        found: Any = self.manifest
        for key in path.split("/"):
            if not isinstance(found, dict) or key not in found:
                return default
            found = found[key]
        return found

    def once(self, name: str, make: Any) -> Any:
        """The value of `make()`, computed once for this folder; a failure is repeated."""
        if name not in self.kept:
            try:
                self.kept[name] = (True, make())
            except Exception as error:
                self.kept[name] = (False, error)
        good, value = self.kept[name]
        if not good:
            raise value
        return value

    def keys(self, file: str) -> list[str]:
        """Names of the arrays of an .npz file; none where it is absent or unreadable."""
        path = self.folder / file
        if not path.is_file():
            return []
        try:
            with zipfile.ZipFile(path) as archive:
                return [name.removesuffix(".npy") for name in archive.namelist()]
        except zipfile.BadZipFile:
            return []

    def has(self, need: str) -> bool:
        """Whether a file, an array `file.npz:array` or a fact `manifest.json:key` is there."""
        file, _, key = need.partition(":")
        if file == "manifest.json" and key:
            return self.fact(key) is not None
        if not key:
            return (self.folder / file).is_file()
        # An unreadable file is no absent one: reading it is to fail.
        return key in self.keys(file) or ((self.folder / file).is_file() and not self.keys(file))

    def mark(self, need: str) -> None:
        """Notes that a check reads `need`."""
        self.used.add(need)

    def numpy(self, file: str, key: str) -> np.ndarray:
        """An array of an .npz file."""

        def read() -> np.ndarray:
            with np.load(self.folder / file, allow_pickle=False) as stored:
                return np.asarray(stored[key])

        self.mark(f"{file}:{key}")
        return self.once(f"{file}:{key}", read)

    def tensor(self, file: str, key: str) -> Tensor:
        """An array of an .npz file as a tensor of its own."""
        return torch.from_numpy(self.numpy(file, key).copy())

    def checkpoint(self, file: str) -> dict[str, Any]:
        """The top level of a file of weights."""
        self.mark(file)
        return self.once(file, lambda: read_checkpoint(self.folder / file))

    def state(self, file: str) -> dict[str, Tensor]:
        """The state dict of a file of weights, wherever in it that lies."""
        found = self.checkpoint(file)
        for key in ("model", "state_dict", "teacher"):
            if isinstance(found.get(key), dict):
                return found[key]
        return found

    def stored_models(self) -> list[str]:
        """Names of the models whose vectors are here, the usual five in any case."""
        extra = sorted(
            path.stem
            for path in self.folder.glob("*.pt")
            if (self.folder / f"{path.stem}.npz").is_file()
        )
        return [*MODELS, *(name for name in extra if name not in MODELS)]

    def stored_arrays(self) -> list[str]:
        """All arrays, `file.npz:array`: those of the files and those that the manifest lists."""
        listed = self.fact("npz_arrays", {})
        files = sorted({path.name for path in self.folder.glob("*.npz")} | set(listed))
        return [
            f"{file}:{key}"
            for file in files
            for key in dict.fromkeys([*self.keys(file), *listed.get(file, {})])
        ]


class ModelVectors:
    """The arrays that a folder holds of one model.

    Args:
        reference: the folder.
        name: of the model, as its files are called.
    """

    def __init__(self, reference: ReferenceSet, name: str) -> None:
        self.reference, self.name, self.file = reference, name, f"{name}.npz"

    def stored(self, key: str) -> np.ndarray:
        """One of the model's arrays."""
        return self.reference.numpy(self.file, key)

    def tensor(self, key: str) -> Tensor:
        """One of the model's arrays, as a tensor."""
        return self.reference.tensor(self.file, key)
