"""The folder of an unfinished training: whose it is, and whether a saved state is whole."""

import zipfile
from pathlib import Path

OWNER = "owner.json"
"""The file that says which training goes on from the folder: its card, and its node."""


def state_fault(path: Path) -> str | None:
    """What is wrong with a file of `torch.save`, such as "is damaged (…)"; None for nothing.

    It is a zip whose entries carry a checksum (CRC-32), which torch writes but does not compare
    when it reads: a flipped byte would become a weight. Reads the whole file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError) as error:
        return f"is damaged ({error})"
    return f"is damaged (the checksum of {broken} differs)" if broken else None
