"""Decoders of other people's files keep off standard error, and come to an end.

Pillow warns of odd files, and libtiff below it prints lines that name no file. Both are turned
off for the process where pictures are read: what is wrong is raised, not printed.

The number of pixels bounds how long decoding takes, but not how long a reader is busy with what
stands before them: 10 MB of comments in a GIF take Pillow many minutes.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import io
import logging
import time
import warnings

from fgbg.transforms.pixels.picture_error import PictureError

# Of the processor. The slowest formats take a quarter of this at 64 megapixels.
MOST_SECONDS = 300.0


@functools.lru_cache(maxsize=1)
def silence() -> None:
    """Turns off the warnings of Pillow and libtiff, once in a process."""
    from PIL import Image

    # Of some, Pillow says that its caller warns.
    warnings.filterwarnings("ignore", module=r"(PIL(\..*)?|fgbg\.transforms\..*)$")
    # A handler that does nothing: without any, Python prints warnings of a library's logger.
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    with contextlib.suppress(OSError, AttributeError):  # another build: its words are a nuisance
        # A library's symbols are looked up in those that it was linked with, too.
        library = ctypes.CDLL(Image.core.__file__)
        for setter in (library.TIFFSetErrorHandler, library.TIFFSetWarningHandler):
            setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
            setter(None)


class Timed(io.BytesIO):
    """A file in memory that its reader may be busy with for so long, in this thread.

    Args:
        data: Its bytes.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._end = time.thread_time() + MOST_SECONDS

    def read(self, size: int | None = -1, /) -> bytes:
        if time.thread_time() > self._end:
            raise PictureError(
                f"it was not read within {MOST_SECONDS:g} seconds; save it anew as PNG or JPEG"
            )
        return super().read(size)
