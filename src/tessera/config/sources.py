"""The state of a source folder, so that a replaced image is noticed.

Nothing is read: names, sizes and times of change are enough to see that a file was replaced.
"""

import hashlib
import os
from functools import cache
from pathlib import Path
from typing import Literal

from tessera.errors import UserError

Watch = Literal["files", "folders", "nothing"]


@cache
def fingerprint(path: str, watch: Watch) -> str:
    """A digest that changes when the folder does.

    Args:
        path: the source folder.
        watch: "files" looks at each file, "folders" at each folder (a file added, removed or
            renamed), which for ImageNet is a thousand looks instead of a million.

    Raises:
        UserError: the folder does not exist.
    """
    if not Path(path).is_dir():
        raise UserError(
            f"the image folder {path} does not exist: set `path` of this data set in the config"
        )
    if watch == "nothing":
        return ""
    digest = hashlib.sha256()
    # Links are followed: classes are often links into a larger data set.
    for folder, _, files in sorted(os.walk(path, followlinks=True)):
        entries = [folder] if watch == "folders" else [f"{folder}/{name}" for name in sorted(files)]
        for entry in entries:
            state = os.stat(entry) if os.path.exists(entry) else os.lstat(entry)  # a dead link
            size = state.st_size if watch == "files" else 0
            relative = os.path.relpath(entry, path)
            digest.update(f"{relative}\0{size}\0{state.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:20]
