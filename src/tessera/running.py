"""One run at a time over a folder of results, whoever starts it from wherever.

Snakemake's own lock lies in the folder that a run was started in, so it knows nothing of a run from
another checkout, and it stays behind when a run is killed. This one is a lock of the operating
system on a file in the folder of results: it ends with the process that holds it, however that
ends. Over NFS it holds between hosts (Linux passes it on to the server), unless the folder is
mounted with `local_lock=flock`.
"""

import errno
import fcntl
import getpass
import json
import logging
import os
import socket
from datetime import UTC, datetime
from pathlib import Path

from tessera.errors import UserError

log = logging.getLogger("tessera")

LOCK = ".running"
"""The file of the lock in a folder of results. It stays; what counts is whether it is held."""

_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)

_held: dict[Path, int] = {}
"""Locks of this process: folder → open file, until the process ends. No job inherits them."""


def hold(results: Path | str) -> bool:
    """Takes the lock of a folder of results for as long as this process lives.

    Args:
        results: the folder; made where it is absent.

    Returns:
        Whether the lock is held; False on a file system without locks.

    Raises:
        UserError: another run holds it, or the folder cannot be written to.
    """
    folder = Path(results).absolute()
    if folder in _held:
        return True
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = _open(folder)
    except PermissionError as error:
        raise UserError(
            f"{error.filename} cannot be written: ask whoever owns {folder} for permission, or set "
            "`results` of the config to a folder of your own"
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = _holder(file)
        os.close(file)
        raise UserError(
            f"another run works in {folder} ({holder}): wait until it ends, or stop it"
        ) from None
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        os.close(file)
        log.warning("%s lies on a file system without locks: start one run at a time there", folder)
        return False
    _sign(file)
    _held[folder] = file
    return True


def release(results: Path | str) -> None:
    """Gives back the lock that `hold` took, for a run that this process starts."""
    file = _held.pop(Path(results).absolute(), None)
    if file is not None:
        os.close(file)


def _open(folder: Path) -> int:
    file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    if os.fstat(file).st_uid == os.geteuid():
        # Whoever may write to the folder may run in it, whatever the umask of the first one was.
        os.fchmod(file, folder.stat().st_mode & 0o666)
    return file


def _sign(file: int) -> None:
    """Writes down who holds the lock, for the message that another run ends with."""
    told = {
        "host": socket.gethostname(),
        "process": os.getpid(),
        "user": _user(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "started in": os.getcwd(),
    }
    os.ftruncate(file, 0)
    os.pwrite(file, json.dumps(told).encode(), 0)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a number without a name, as in a container
        return str(os.getuid())


def _holder(file: int) -> str:
    """Who holds the lock, as far as the file tells."""
    try:
        told = json.loads(os.pread(file, 10_000, 0))
    except json.JSONDecodeError:  # it has the lock and is about to write
        return "started just now"
    return ", ".join(f"{name} {value}" for name, value in told.items())
