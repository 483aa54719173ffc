"""How the C library keeps memory: what a unit has used is kept for the next one.

By itself glibc gives large blocks back to the system as soon as they are free, and the next unit's
arrays of the same sizes come from there again, page by page, each cleared by a page fault: a third
of the time of encoding.
"""

from __future__ import annotations

import ctypes

# glibc's malloc.h, mallopt(3).
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_LARGEST_BLOCK = 32 << 20  # the most that glibc lets be taken from its heap
_KEPT = 128 << 20
_STEP = 4 << 20


def keep_freed_memory() -> bool:
    """Lets this process keep freed memory, up to 128 MiB of it. Returns whether that is possible.

    Peaks do not change: only what lies between them is not given back. Without glibc nothing
    happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # another C library, or none that can be asked
        return False
    wanted = ((_M_MMAP_THRESHOLD, _LARGEST_BLOCK), (_M_TRIM_THRESHOLD, _KEPT), (_M_TOP_PAD, _STEP))
    return all([mallopt(name, value) for name, value in wanted])
