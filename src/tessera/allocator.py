"""Memory that a process frees stays its own, for the next time that it needs as much.

glibc hands large blocks back to the system as they are freed, and each new one comes in pages that
the system fills with zeros when they are first written. A training step takes and frees its
activations again and again: on a virtual machine a fifth of its time went into such pages.
"""

import ctypes

# <malloc.h>
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8


def keep_freed_memory() -> None:
    """Lets the C library keep what is freed; without effect where it is not glibc.

    For processes that take the same memory again and again: what they hold does not shrink.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(_MMAP_MAX, 0)  # no block of its own for a large tensor
    mallopt(_ARENA_MAX, 1)  # what one thread has freed serves all others too
    mallopt(_TRIM_THRESHOLD, -1)
    mallopt(_TOP_PAD, 64 * 2**20)
