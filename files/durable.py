"""What has been written, on the disk: a power cut after it takes nothing of it back."""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from collections.abc import Callable

from fgbg.files.paths import is_gcs


def sync(folder: str) -> None:
    """Waits until everything written so far below a local folder is on its disk.

    One call for thousands of files costs far less than one for each. It waits for what other
    programs have written to the same file system too.

    Args:
        folder: Local, and there; nothing happens for gs://, where an object that has been written
            stays.

    Raises:
        OSError: The disk could not take it.
    """
    if is_gcs(folder):
        return
    syncfs = _syncfs()
    if syncfs is None:
        os.sync()  # all file systems; macOS has nothing narrower for a whole tree
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if syncfs(descriptor):
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), folder)
    finally:
        os.close(descriptor)


@functools.cache
def _syncfs() -> Callable[[int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        return ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError):  # a C library without it
        return None
