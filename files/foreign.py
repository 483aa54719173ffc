"""Files that somebody else made: read in one place, which waits for nothing and has a limit.

A folder of pictures may hold a FIFO, a device, a socket or a folder named x.jpg; opening some of
them never ends. Whatever is wrong is an OSError whose `strerror` says what and what to do.
"""

from __future__ import annotations

import errno
import os
import stat

from fgbg.files import storage

# More than any picture or table that is meant as an input.
MAX_BYTES = 1 << 30
NOT_UTF8 = "its name is not UTF-8, which no table of names can hold: rename it"
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def read(path: str, most: int = MAX_BYTES) -> bytes:
    """The whole of a regular file.

    Args:
        path: Local or gs://.
        most: Bytes that it may have.

    Raises:
        OSError: There is none, it is no regular file, it is too large, or its name cannot be
            written down.
    """
    if not is_text(path):
        raise OSError(errno.EILSEQ, NOT_UTF8, path)
    # On gs:// the whole object: parts of one have no checksum.
    in_cloud = storage.is_gcs(path)
    data = storage.storage_for(path).read(path) if in_cloud else _read_local(path, most)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"larger than {most:,} bytes", path)
    return data


def is_text(path: str) -> bool:
    """Whether a name is text: Python carries other bytes of a file's name as surrogates."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def kind(path: str) -> str:
    """What stands at a local path that is no regular file: "a FIFO"; "" for a regular file.

    Raises:
        OSError: There is nothing, or it cannot be looked at.
    """
    return _kind(os.stat(path).st_mode)


def _kind(mode: int) -> str:
    if stat.S_ISREG(mode):
        return ""
    return next((words for is_it, words in _KINDS if is_it(mode)), "something special")


def _read_local(path: str, most: int) -> bytes:
    # Looked at before it is opened: to open a device can do something.
    _refuse_special(os.stat(path).st_mode, path)
    # Non-blocking, and looked at again: it may have been replaced by a FIFO since.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        _refuse_special(status.st_mode, path)
        if status.st_size > most:
            raise OSError(errno.EFBIG, f"larger than {most:,} bytes", path)
        # One more than there are, for it may have grown; not `most`, which would be allocated.
        return file.read(min(status.st_size, most) + 1)


def _refuse_special(mode: int, path: str) -> None:
    if words := _kind(mode):
        raise OSError(errno.EINVAL, f"{words}, not a file", path)
