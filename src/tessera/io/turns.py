"""One process at a time makes a result.

A job outlives the controller that started it, where that alone is killed. Started again, the
controller waits for those jobs that run (`is_held`); of those that a scheduler starts later it
knows nothing, and starts them a second time. Both would write the same files, and a training's
state. So the second waits for the first.
"""

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

log = logging.getLogger("tessera")

PATIENCE = 0.2
"""Seconds between two looks at a lock: the process that holds it works for minutes."""


@contextmanager
def turn(card: Path) -> Iterator[bool]:
    """Holds the right to make a card and its files; yields whether it had to be waited for.

    It is a lock of the operating system on a hidden file beside the card, which ends with the
    process that holds it. Over NFS it holds between hosts (Linux passes it on to the server).
    Where the file system has no locks nobody waits, and whole files alone are left to keep two
    writers apart.
    """
    lock = card.with_name(f".{card.name}.lock")
    made = [folder for folder in lock.parents if not folder.exists()]
    lock.parent.mkdir(parents=True, exist_ok=True)
    handle, waited = -1, False
    try:
        while handle < 0:
            handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
            waited |= _lock(handle, card)
            if not _is(lock, handle):  # the one that was waited for has deleted the file
                os.close(handle)
                handle = -1
        yield waited
    finally:
        if handle >= 0:
            lock.unlink(missing_ok=True)  # before the lock ends: nobody may be waiting behind it
            os.close(handle)
            for folder in made:  # if nothing else was made in it
                with suppress(OSError):
                    folder.rmdir()


def is_held(card: Path) -> bool:
    """Whether a process makes a card at this moment."""
    try:
        handle = os.open(card.with_name(f".{card.name}.lock"), os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no locks on this file system
        return False
    finally:
        os.close(handle)
    return False


def _lock(handle: int, card: Path) -> bool:
    """Locks an open file; returns whether another process had to end before."""
    waited = False
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not waited:
                log.info("another process makes %s: waiting for it to end", card)
            waited = True
            time.sleep(PATIENCE)
        except OSError:  # no locks on this file system
            return waited
        else:
            return waited


def _is(path: Path, handle: int) -> bool:
    """Whether a path still names an open file."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(handle))
    except FileNotFoundError:
        return False
